"""What `wire` leaves open: bodies that may be absent, answers of bounded size.

Knows Flask, and nothing of the routes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from flask import Response, request
from pydantic import BaseModel

from gridlab.api.errors import invalid
from gridlab.api.requests import RequestShape, examine
from gridlab.api.wire import read_body

Asked = TypeVar("Asked", bound=RequestShape)
Shown = TypeVar("Shown", bound=BaseModel)

#: Bytes of a page's items; with what stands around them an answer stays below a megabyte.
MAX_ITEMS_BYTES = 900_000
ACCEPTED = 202


def read_optional_body(shape: type[Asked]) -> Asked:
    """The JSON body, checked, or `shape` with its defaults when nothing at all was sent.

    A page that sends a form has a content type, so it is refused as in `read_body`.

    Raises:
        ApiError: a body that is not the JSON object meant, with every problem.
    """
    is_absent = not request.content_length and "Transfer-Encoding" not in request.headers
    if is_absent and not request.content_type:
        asked, problems = examine(shape, {})
        if asked is None:
            raise invalid(problems)
        return asked
    return read_body(shape)


def fitting(shapes: Iterable[Shown], most_bytes: int = MAX_ITEMS_BYTES) -> list[Shown]:
    """The first of `shapes` that together are at most `most_bytes` of JSON; at least one."""
    kept: list[Shown] = []
    left = most_bytes
    for shape in shapes:
        left -= len(shape.model_dump_json().encode()) + 1
        if left < 0 and kept:
            break
        kept.append(shape)
    return kept


def answer_by_alias(shape: BaseModel, status: int = 200) -> Response:
    """One object as JSON, for shapes with a documented name that no Python name can be."""
    return Response(shape.model_dump_json(by_alias=True), status, mimetype="application/json")
