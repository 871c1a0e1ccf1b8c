"""Routes for looking inside: the log, figures of the process, the cache, the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Blueprint, Response

from gridlab.api.errors import language
from gridlab.api.messages import say
from gridlab.api.requests import NoQuery
from gridlab.api.requests_tools import LogsQuery, NoBody
from gridlab.api.schemas.debug import CacheCleared, ConfigView, LogEntry, Performance
from gridlab.api.wire import answer, answer_list, fitting, read_optional_body, read_query, stamp_of
from gridlab.app.facade import GridLab
from gridlab.clock import iso

STRUCK: Final = "**********"
_SECRET = re.compile(r"(?i)(^|_)(key|secret|token|password|passphrase|credentials?)$")
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the debugging routes on `blueprint`."""

    @blueprint.get("/api/debug/logs")
    def debug_logs() -> Response:
        lines = read_query(LogsQuery).lines
        return answer_list(_logs(lab, lines), stamp_of(lab.snapshot))

    @blueprint.get("/api/debug/performance")
    def debug_performance() -> Response:
        read_query(NoQuery)
        return answer(_performance(lab))

    @blueprint.post("/api/debug/cache/clear")
    def debug_cache_clear() -> Response:
        read_optional_body(NoBody)
        return answer(_clear_cache(lab))

    @blueprint.get("/api/debug/config")
    def debug_config() -> Response:
        read_query(NoQuery)
        stamp = stamp_of(lab.snapshot)
        reply = answer(ConfigView(sanitised(lab.config_view())))
        reply.headers["X-GridLab-Mode"] = stamp.mode
        return reply


def _logs(lab: GridLab, count: int) -> list[LogEntry]:
    """The latest lines, oldest first; the oldest are left out where all would be too much."""
    newest_first = [
        LogEntry(
            timestamp=line.time_ms,
            time=iso(line.time_ms),
            level=line.level,
            logger=line.logger,
            message=line.message.encode("utf-8", "replace").decode("utf-8"),
        )
        for line in reversed(lab.logs(count))
    ]
    return fitting(newest_first)[::-1]


def _performance(lab: GridLab) -> Performance:
    snapshot = lab.snapshot
    figures = lab.performance()
    uptime_s = (snapshot.wall_ms - snapshot.started_ms) / 1000
    rate = round(snapshot.sequence / uptime_s, 3) if uptime_s > 0 else None
    known = {name: figures.get(name) for name in Performance.model_fields if name in figures}
    return Performance.model_validate(
        {**known, "snapshots_per_second": rate, **stamp_of(snapshot).parts}
    )


def _clear_cache(lab: GridLab) -> CacheCleared:
    entries = lab.cache.clear()
    return CacheCleared(
        status="cleared",
        message=say("cache_cleared", language(), entries=entries),
        entries_cleared=entries,
        **stamp_of(lab.snapshot).parts,
    )


def sanitised(view: Mapping[str, object]) -> dict[str, Any]:
    """`view` with every value struck out whose name tells that it is a secret, at any depth.

    The engine's own view holds none; this is the second lock on the same door.

    >>> sanitised({"api": {"key": "abc", "secret": None}, "url": "http://me:pw@host/"})
    {'api': {'key': '**********', 'secret': None}, 'url': 'http://host/'}
    """
    return {name: _sanitised(name, value) for name, value in view.items()}


def _sanitised(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        return sanitised(value)
    if isinstance(value, (list, tuple)):
        return [_sanitised(name, item) for item in value]
    if isinstance(value, str):
        return STRUCK if value and _SECRET.search(name) else _USER_IN_URL.sub("", value)
    return value
