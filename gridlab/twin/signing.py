"""HMAC-SHA256 signatures, over the bytes that travelled and no others.

Source: Binance spot "SIGNED Endpoint security": the query string as sent, then the body as sent,
nothing between them, both without the signature itself; hexadecimal in either case.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string

#: Takes `signature=...` out of a raw query or body, wherever it stands in it.
_SIGNATURE = re.compile(rb"(?:^|&)signature=([^&]*)")


def hmac_hex(secret: str, payload: bytes) -> str:
    """The signature of `payload` in lower-case hexadecimal.

    >>> hmac_hex("key", b"symbol=BTCUSDT")[:8]
    'd480fd6f'
    """
    return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def is_signature(secret: str, payload: bytes, signature: str) -> bool:
    """Whether `signature` is that of `payload`; compared in constant time."""
    return hmac.compare_digest(hmac_hex(secret, payload).encode(), signature.lower().encode())


def split_signature(query: bytes, body: bytes) -> tuple[bytes, str | None]:
    """(what was signed, the signature), from a request's raw query and raw body.

    Nothing is decoded: the bytes that were signed are those that came. The signature may stand in
    either part; one in the query wins, as any parameter does.
    """
    found = None
    for part in (query, body):
        match = _SIGNATURE.search(part)
        if match is not None and found is None:
            found = match[1].decode("latin-1")
    return _without(query) + _without(body), found


def _without(part: bytes) -> bytes:
    match = _SIGNATURE.search(part)
    if match is None:
        return part
    rest = part[: match.start()] + part[match.end() :]
    return rest[1:] if match.start() == 0 and rest.startswith(b"&") else rest


def new_secret(length: int = 64) -> str:
    """Random letters and digits, in the form of the venue's keys."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
