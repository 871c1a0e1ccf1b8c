"""Answers that need not be sent twice: ETag, If-None-Match and Cache-Control.

The tag is weak: it covers the data and not the stamp of sequence and age around it, which differs
at every request. It changes when the open candle changes or a new one opens, so a reader that polls
gets 304 in between; the stamp then travels in headers.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from flask import Response, request
from werkzeug.wrappers import Response as BaseResponse

from gridlab.api.register import ROUTES

_TAGGED: Final = frozenset(name for name, route in ROUTES.items() if route.is_tagged)
#: The part of a stamp that changes although the data may not; see `schemas.base.Stamp`.
_STAMP = re.compile(
    rb'"engine_state":"[^"]*","sequence":\d+,"as_of":"([^"]*)","as_of_ms":\d+,'
    rb'"age_ms":(\d+),"stale":(true|false),?'
)
#: The reader may keep the answer, but asks each time whether it still holds.
_POLICY: Final = "private, no-cache"
_MOST_TAGS = 50


def tag(reply: Response) -> None:
    """Give a good answer of a tagged route its ETag, and its stamp in headers too."""
    name = (request.endpoint or "").rpartition(".")[2]
    if name in _TAGGED and reply.status_code == 200 and not reply.is_streamed:
        reply.headers["ETag"] = _tag(reply)
        reply.headers["Cache-Control"] = _POLICY


def unmodified(reply: BaseResponse) -> None:
    """Make it an empty 304 when the reader has the same data already."""
    asked = request.environ.get("HTTP_IF_NONE_MATCH")
    tag = reply.headers.get("ETag")
    if not asked or tag is None or reply.status_code != 200 or request.method != "GET":
        return
    if _has(asked, tag):
        reply.set_data(b"")
        reply.status_code = 304
        del reply.headers["Content-Length"], reply.headers["Content-Type"]


def _tag(reply: Response) -> str:
    """The tag of a fresh answer, whose stamp is also put into headers for the sake of a 304."""
    body = reply.get_data()
    found = _STAMP.search(body)
    if found is not None:
        reply.headers["X-GridLab-As-Of"] = found[1].decode()
        reply.headers["X-GridLab-Age-Ms"] = found[2].decode()
        reply.headers["X-GridLab-Stale"] = found[3].decode()
    language = reply.headers.get("Content-Language", "")
    digest = hashlib.blake2b(_STAMP.sub(b"", body, count=1) + language.encode(), digest_size=12)
    return f'W/"{digest.hexdigest()}"'


def _has(header: str, tag: str) -> bool:
    """Whether an If-None-Match names the tag; strong and weak count alike (RFC 9110, 13.1.2)."""
    if header.strip() == "*":
        return True
    plain = tag.removeprefix("W/")
    return any(
        one.strip().removeprefix("W/") == plain
        for one in header.split(",", _MOST_TAGS)[:_MOST_TAGS]
    )
