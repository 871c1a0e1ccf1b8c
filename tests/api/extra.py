"""What the tests of indicators, models, checks, jobs, records and control share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from gridlab.api import create_app
from gridlab.app.facade import GridLab

PORTUGUESE = {"Accept-Language": "pt-BR,pt;q=0.9,en;q=0.5"}


def client_of(lab: GridLab) -> FlaskClient:
    """A client of `lab`; those of one lab share an application."""
    return _app_of(lab).test_client()


@lru_cache(maxsize=8)
def _app_of(lab: GridLab) -> Flask:
    return create_app(lab)


def answered(reply: Any, status: int = 200) -> Any:
    """The parsed answer, which carries mode and age."""
    assert reply.status_code == status, reply.text
    assert reply.mimetype == "application/json"
    assert reply.json["mode"] == "Replay"
    assert reply.json["age_ms"] >= 0
    return reply.json


def refused(reply: Any, status: int = 400, code: str = "") -> list[str]:
    """Check the whole error shape; returns the fields that are wrong."""
    assert reply.status_code == status, reply.text
    assert reply.mimetype == "application/json"
    error = reply.json["error"]
    assert set(error) == {"code", "message", "field_errors", "hint", "request_id"}
    assert error["message"]
    assert not code or error["code"] == code
    assert "Traceback" not in reply.text
    return [one["field"] for one in error["field_errors"]]
