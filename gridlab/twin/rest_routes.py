"""REST over HTTP: from the bytes of a request to a `Call`, and from an `Answer` to bytes.

The signature is checked over the query and the body exactly as they came; nothing is decoded and
encoded again. Every answer is JSON, whatever its status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gridlab.domain.market import Market
from gridlab.twin import time_unit
from gridlab.twin.answers import VenueError
from gridlab.twin.params import Params
from gridlab.twin.rest import Call, Desk
from gridlab.twin.signing import is_signature, split_signature

KEY_HEADER = "X-MBX-APIKEY"
METHODS = ("GET", "POST", "PUT", "DELETE")
#: Which market serves a path, by how it begins.
PREFIXES = {
    "/api/": Market.SPOT,
    "/sapi/": Market.SPOT,
    "/fapi/": Market.FUTURES,
    "/futures/data/": Market.FUTURES,
}


def routes(desks: Mapping[Market, Desk]) -> list[web.RouteDef]:
    """One catch-all for each prefix: the desks find their endpoints themselves."""
    found = []
    for prefix, market in PREFIXES.items():
        door = RestDoor(desks.get(market), is_case_blind=market is Market.FUTURES)
        found += [web.route(method, prefix + "{rest:.*}", door.serve) for method in METHODS]
    return found


class RestDoor:
    """Serves the paths of one market.

    Args:
        desk: None when the twin does not play this market.
    """

    def __init__(self, desk: Desk | None, *, is_case_blind: bool) -> None:
        self._desk = desk
        self._is_case_blind = is_case_blind

    async def serve(self, request: web.Request) -> web.StreamResponse:
        desk, path = self._desk, request.path
        if desk is not None:
            desk.note_request(request.remote or "")
        endpoint = None if desk is None else desk.endpoint(request.method, path)
        if desk is None or endpoint is None:
            return _unknown(request.method, path, desk is not None and path in desk.paths())
        query = request.rel_url.raw_query_string
        body = await request.read()
        try:
            asked = request.headers.get(time_unit.HEADER) if desk.market is Market.SPOT else None
            is_micro = time_unit.is_microseconds(asked)
            params = Params.of(query, _form(request, body), is_case_blind=self._is_case_blind)
        except VenueError as error:
            return _response(error.status, error.refusal.body(), error.refusal.headers)
        signed, signature = split_signature(query.encode(), body)
        call = Call(
            endpoint=endpoint,
            params=params,
            peer=request.remote or "",
            api_key=request.headers.get(KEY_HEADER),
            has_signature=bool(signature),
            is_signed_by=lambda secret: is_signature(secret, signed, signature or ""),
        )
        answer = await desk.run(call)
        if answer.is_lost:
            return _cut(request)
        payload = answer.payload
        if is_micro and answer.status == 200:
            payload = time_unit.in_microseconds(path, payload)
        return _response(answer.status, payload, answer.headers)


def _form(request: web.Request, body: bytes) -> str:
    """The body's parameters; a body of another kind than a form has none."""
    if not body:
        return ""
    kind = request.content_type
    if kind not in ("application/x-www-form-urlencoded", "application/octet-stream"):
        return ""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise VenueError(-1100, "Illegal characters found in a parameter.") from None


def _response(status: int, payload: Any, headers: Mapping[str, str]) -> web.Response:
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return web.Response(
        status=status, text=text, content_type="application/json", headers=dict(headers)
    )


def _unknown(method: str, path: str, is_path: bool) -> web.Response:
    """What there is no endpoint for."""
    status = 405 if is_path else 404
    message = f"Path {path}, Method {method} is invalid"
    return _response(status, {"code": -5000, "msg": message}, {})


def _cut(request: web.Request) -> web.StreamResponse:
    """End the connection without an answer, as a broken line does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
