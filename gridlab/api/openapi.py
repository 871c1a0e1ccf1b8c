"""`/api/openapi.json`: the API described by the very models that check requests and shape answers.

The paths come from the application's routes, everything else from the catalogue, so the document
cannot know a route that is not there. OpenAPI 3.1, whose schemas are JSON Schema 2020-12.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app
from pydantic import BaseModel, TypeAdapter
from werkzeug.routing import Rule

from gridlab._version import __version__
from gridlab.api.catalogue import Route
from gridlab.api.register import ROUTES
from gridlab.api.requests import NoQuery
from gridlab.api.schemas import ErrorBody
from gridlab.api.schemas.jobs import JobShape
from gridlab.api.scopes import Scope
from gridlab.api.wire import read_query

Json = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"<(?:[^:>]+:)?(\w+)>")
_REASONS: Final = {
    200: "Done",
    201: "Made",
    202: "Accepted; the answer names the job",
    204: "Nothing to say",
    304: "The reader has this data already",
    400: "The request is wrong; every problem is named",
    401: "A token is needed, or this one is not valid",
    403: "The token or the page may not do that",
    404: "It does not exist here",
    405: "This method is not allowed here",
    409: "True request, wrong state",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "The Idempotency-Key belongs to another request, or the answer would be too large",
    429: "Too much is asked for at once; try again after Retry-After seconds",
    500: "GridLab broke; the log has the details",
    503: "Not ready, or busy; try again",
}
_ALWAYS: Final = (400, 401, 403, 405, 422, 500, 503)
_WITH_BODY: Final = (409, 413, 415)
_ABOUT: Final = (
    "Grid trading on recorded or live prices. Every answer names its mode and its age. Errors are "
    "one object with a stable code. Texts are in English or, by Accept-Language, in Portuguese. "
    "Where tokens are asked for, each route needs the scope it names: read, trade or admin."
)
_KEY_PARAMETER: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and content give the first answer again, for 24 hours.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
}
_PATTERNS: Final[dict[str, Json]] = {
    "symbol": {"type": "string", "pattern": "^[A-Za-z0-9]{1,20}$"},
    "job_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}


def document(app: Flask, blueprint: str) -> Json:
    """The OpenAPI document of the routes that `blueprint` has in `app`."""
    models = _Models()
    paths: Json = {}
    for rule, name, route in _routes(app, blueprint):
        path = _PARAMETER.sub(r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(rule, name, route, models)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GridLab",
            "version": __version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": models.schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _routes(app: Flask, blueprint: str) -> Iterator[tuple[Rule, str, Route]]:
    """The blueprint's documented routes by path; pages and their assets have no place in it."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        owner, _, name = rule.endpoint.rpartition(".")
        route = ROUTES.get(name)
        if owner == blueprint and route is not None and route.scope is not Scope.OPEN:
            yield rule, name, route


class _Models:
    """The models that operations refer to, and their schemas once all are known."""

    def __init__(self) -> None:
        self._adapters: dict[tuple[str, str], TypeAdapter[Any]] = {}
        self._places: list[tuple[Json, tuple[str, str]]] = []

    def reference(self, shape: Any, mode: str) -> Json:
        """A schema that refers to `shape`; filled when `schemas` is called."""
        key = (str(shape), mode)
        self._adapters[key] = TypeAdapter(shape)
        place: Json = {}
        self._places.append((place, key))
        return place

    def schemas(self) -> Json:
        """The components; fills every reference that was given out."""
        inputs: Any = [(key[0], key[1], adapter) for key, adapter in self._adapters.items()]
        found, definitions = TypeAdapter.json_schemas(inputs, ref_template=_REF)
        for place, key in self._places:
            place.update(found[key])  # type: ignore[index]
        named: Json = definitions.get("$defs", {})
        return dict(sorted(named.items()))


def _operation(rule: Rule, name: str, route: Route, models: _Models) -> Json:
    summary, scope = route.summary, route.scope.word
    operation: Json = {
        "operationId": name,
        "tags": [route.tag],
        "summary": summary,
        "description": f"Scope: {scope}.",
        "security": [{"token": []}, {}],
        "x-scope": scope,
        "responses": _responses(rule, route, models),
    }
    parameters = _path_parameters(rule, route) + _query_parameters(route)
    if _changes(rule):
        parameters.append(_KEY_PARAMETER)
    if route.is_tagged:
        text = "An ETag that the reader has"
        schema = {"type": "string"}
        parameters.append(
            {"name": "If-None-Match", "in": "header", "description": text, "schema": schema}
        )
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content: Json = {"schema": models.reference(route.body, "validation")}
        if route.example:
            content["example"] = dict(route.example)
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _changes(rule: Rule) -> bool:
    return bool((rule.methods or set()) - {"GET", "HEAD", "OPTIONS"})


def _path_parameters(rule: Rule, route: Route) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATTERNS.get(name, {"type": "string"}),
            **({"example": route.example[name]} if name in route.example else {}),
        }
        for name in _PARAMETER.findall(rule.rule)
    ]


def _query_parameters(route: Route) -> list[Json]:
    if route.query is NoQuery:
        return []
    schema = TypeAdapter(route.query).json_schema()
    required = schema.get("required", [])
    return [
        _query_parameter(name, held, name in required, route)
        for name, held in schema["properties"].items()
    ]


def _query_parameter(name: str, held: Json, is_required: bool, route: Route) -> Json:
    schema = {key: value for key, value in held.items() if key != "title"}
    if isinstance(schema.get("default"), list):  # several, written with commas between them
        schema["default"] = ",".join(schema["default"])
    parameter: Json = {"name": name, "in": "query", "schema": schema}
    if is_required:
        parameter["required"] = True
    if name in route.example:
        parameter["example"] = route.example[name]
    return parameter


def _responses(rule: Rule, route: Route, models: _Models) -> Json:
    found: Json = {str(route.status): _success(route, models)}
    statuses = {*_ALWAYS, *route.errors, *(_WITH_BODY if _changes(rule) else ())}
    if route.is_tagged:
        found["304"] = {"description": _REASONS[304]}
    if 202 in statuses - {route.status}:
        found["202"] = _accepted(models)
    for status in sorted(one for one in statuses if one >= 400):
        found[str(status)] = {
            "description": _REASONS[status],
            "content": {"application/json": {"schema": _refusal(_shape(route, status), models)}},
        }
    return dict(sorted(found.items()))


def _shape(route: Route, status: int) -> type[BaseModel]:
    """What the route itself says with this status."""
    shapes = {500: ErrorBody, 503: route.unready}
    shape: type[BaseModel] = shapes.get(status, route.refusal)
    return shape


def _success(route: Route, models: _Models) -> Json:
    content: Json = {"schema": {"type": "string"}}
    if route.answer is not None:
        content = {"schema": models.reference(route.answer, "serialization")}
    answer: Json = {"description": _REASONS[route.status], "content": {route.media: content}}
    headers: Json = {"X-Request-Id": {"schema": {"type": "string"}}}
    if route.is_tagged:
        headers["ETag"] = {"schema": {"type": "string"}}
    return {**answer, "headers": headers}


def _accepted(models: _Models) -> Json:
    """What says that the work goes on as a job."""
    content = {"schema": models.reference(JobShape, "serialization")}
    headers = {"Location": {"schema": {"type": "string"}}}
    return {
        "description": _REASONS[202],
        "headers": headers,
        "content": {"application/json": content},
    }


def _refusal(shape: type[BaseModel], models: _Models) -> Json:
    """What a refusal looks like; others than the route refuse with the plain error object."""
    if shape is ErrorBody:
        return models.reference(ErrorBody, "serialization")
    both = (shape, ErrorBody)
    return {"anyOf": [models.reference(one, "serialization") for one in both]}


def add_routes(blueprint: Blueprint) -> None:
    """Put the document on `blueprint`; it is made at the first question."""
    made: dict[str, bytes] = {}

    @blueprint.get("/api/openapi.json")
    def openapi_document() -> Response:
        read_query(NoQuery)
        if "document" not in made:
            text = json.dumps(document(current_app, blueprint.name), ensure_ascii=False)
            made["document"] = text.encode()
        return Response(made["document"], mimetype="application/json")
