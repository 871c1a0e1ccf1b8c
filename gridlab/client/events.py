"""Server-sent events over HTTP: read as they come, taken up again where they broke off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from gridlab.client.refusals import refusal
from gridlab.errors import ExchangeUnavailable

#: Seconds without a byte after which the line counts as dead; the server speaks every ten.
SILENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event: what it is about, its content as parsed JSON, and its place in the stream."""

    topic: str
    data: Any
    id: str


def follow(http: httpx.Client, path: str, query: dict[str, str]) -> Iterator[StreamEvent]:
    """Events from `path`; after a break, those that were missed, or a `resync`.

    Raises:
        ExchangeUnavailable: no engine answers (again).
        GridLabError: the server refused, as `refusal` puts it.
    """
    last = ""
    while True:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        timeout = httpx.Timeout(5.0, read=SILENCE_S)
        try:
            with http.stream("GET", path, params=query, headers=headers, timeout=timeout) as reply:
                if not reply.is_success:
                    raise _refused(reply, path)
                for event in _events(reply.iter_lines()):
                    last = event.id or last
                    yield event
        except httpx.ConnectError as error:
            raise ExchangeUnavailable(
                f"no engine answers at {http.base_url} ({error}); start one with `gridlab up`"
            ) from error
        except httpx.TransportError:
            continue  # the line broke; the next one goes on after `last`


def _refused(reply: httpx.Response, path: str) -> Exception:
    reply.read()
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    return refusal(reply.status_code, answer, f"GET {path}")


def _events(lines: Iterator[str]) -> Iterator[StreamEvent]:
    """Events from their lines, as the standard has them; comments only keep the line alive."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in fields:
                value = f"{fields['data']}\n{value}"
            fields[name] = value
            continue
        if "data" in fields:
            topic = fields.get("event", "message")
            yield StreamEvent(topic, json.loads(fields["data"]), fields.get("id", ""))
        fields = {}
