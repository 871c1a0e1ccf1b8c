"""What one connection of the WebSocket API remembers: its logon, and its user data subscription.

The methods that only exist on a socket are endpoints like all others, so that key, signature, time,
weight and faults are judged in one place. The twin's account has an HMAC key, with which nobody can
log on to a session: every request carries its own signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from gridlab.domain.market import Market
from gridlab.twin.answers import VenueError, refuse
from gridlab.twin.rest import Endpoint, Security, TwinRequest
from gridlab.twin.stream_payloads import Payload
from gridlab.twin.user_payloads import stream_terminated
from gridlab.twin.user_stream import UserStream

#: Takes a subscription's id and one event.
HearEvent: TypeAlias = Callable[[int, Payload], None]

HMAC_LOGON = (-4056, "HMAC_SHA256 API key is not supported.")
SUBSCRIBED = (-2035, "User Data Stream subscription already active.")
NOT_SUBSCRIBED = (-2036, "User Data Stream subscription not active.")
_WEIGHT = 2


class ApiSession:
    """One connection's session.

    Args:
        stream: the account's events.
        hear: told the events of this connection's subscription.
        shows_limits: what the connection's URL says of `returnRateLimits`.
    """

    def __init__(
        self,
        market: Market,
        stream: UserStream,
        hear: HearEvent,
        *,
        connected_ms: int,
        shows_limits: bool,
    ) -> None:
        self.shows_limits = shows_limits
        self._stream = stream
        self._hear = hear
        self._connected_ms = connected_ms
        self._next_id = 0
        self._detach: dict[int, Callable[[], None]] = {}
        self._ended: list[int] = []
        self._methods = self._session_methods()
        if market is Market.SPOT:
            self._methods |= self._user_methods()

    @property
    def subscription_ids(self) -> tuple[int, ...]:
        return tuple(self._detach)

    def endpoint(self, method: str) -> Endpoint | None:
        """The endpoint of a method that belongs to the session, else None."""
        return self._methods.get(method)

    def close(self) -> None:
        """The connection is over, and its subscription with it."""
        for detach in self._detach.values():
            detach()
        self._detach.clear()

    def take_ended(self, now_ms: int) -> list[tuple[int, Payload]]:
        """The last events of subscriptions that the client has just ended."""
        ended, self._ended = self._ended, []
        return [(subscription, stream_terminated(now_ms)) for subscription in ended]

    def _session_methods(self) -> dict[str, Endpoint]:
        return {
            "session.logon": _method("session.logon", self._logon, Security.SIGNED),
            "session.status": _method("session.status", self._status),
            "session.logout": _method("session.logout", self._status),
        }

    def _user_methods(self) -> dict[str, Endpoint]:
        signature = "userDataStream.subscribe.signature"
        return {
            signature: _method(signature, self._subscribe, Security.SIGNED),
            "userDataStream.subscribe": _method("userDataStream.subscribe", self._unauthorized),
            "userDataStream.unsubscribe": _method("userDataStream.unsubscribe", self._unsubscribe),
            "session.subscriptions": _method("session.subscriptions", self._subscriptions),
        }

    async def _logon(self, request: TwinRequest) -> object:
        raise VenueError(*HMAC_LOGON)

    async def _status(self, request: TwinRequest) -> Mapping[str, Any]:
        return {
            "apiKey": None,
            "authorizedSince": None,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self.shows_limits,
            "serverTime": request.now_ms,
            "userDataStream": bool(self._detach),
        }

    async def _unauthorized(self, request: TwinRequest) -> object:
        """Subscribing without a signature needs a session that is logged on."""
        raise refuse(-2015)

    async def _subscribe(self, request: TwinRequest) -> Mapping[str, int]:
        if self._detach:
            raise VenueError(*SUBSCRIBED)
        subscription, self._next_id = self._next_id, self._next_id + 1
        self._detach[subscription] = self._stream.attach(
            lambda event: self._hear(subscription, event)
        )
        return {"subscriptionId": subscription}

    async def _unsubscribe(self, request: TwinRequest) -> Mapping[str, Any]:
        wanted = request.params.maybe_integer("subscriptionId")
        over = [each for each in self._detach if wanted is None or each == wanted]
        if not over:
            raise VenueError(*NOT_SUBSCRIBED)
        for subscription in over:
            self._detach.pop(subscription)()
            self._ended.append(subscription)
        return {}

    async def _subscriptions(self, request: TwinRequest) -> list[Mapping[str, int]]:
        return [{"subscriptionId": subscription} for subscription in self._detach]


def _method(
    name: str, handler: Callable[[TwinRequest], Any], security: Security = Security.NONE
) -> Endpoint:
    return Endpoint("WS", name, handler, weight=_WEIGHT, security=security)
