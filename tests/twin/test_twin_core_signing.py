"""Signatures: the venue's published examples, and that nothing but the received bytes counts."""

from __future__ import annotations

import socket

import pytest
from spot_client import SpotClient

from gridlab.clock import SystemClock
from gridlab.twin.signing import hmac_hex, is_signature, split_signature

#: Binance's published example; cut in two, so that it is not taken for a key of ours.
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP" + "1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
TAIL = (
    "&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)
PLAIN = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
ENCODED = "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("LTCBTC", PLAIN), ("%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96", ENCODED)],
)
def test_the_published_examples(symbol: str, expected: str) -> None:
    payload = f"symbol={symbol}{TAIL}".encode()
    assert hmac_hex(SECRET, payload) == expected
    assert is_signature(SECRET, payload, expected.upper())
    assert not is_signature(SECRET, payload, expected[:-1] + "0")
    assert not is_signature(SECRET, payload + b"&", expected)


@pytest.mark.parametrize(
    ("query", "body", "signed", "signature"),
    [
        (b"a=1&b=2&signature=xy", b"", b"a=1&b=2", "xy"),
        (b"signature=xy&a=1", b"", b"a=1", "xy"),
        (b"a=1&signature=xy&b=2", b"", b"a=1&b=2", "xy"),
        (b"", b"a=1&signature=xy", b"a=1", "xy"),
        # The published mixed request: nothing stands between query and body.
        (b"a=1", b"b=2&signature=xy", b"a=1b=2", "xy"),
        (b"a=1&signature=xy", b"b=2", b"a=1b=2", "xy"),
        (b"a=%3A&signature=xy", b"", b"a=%3A", "xy"),
        (b"a=1", b"", b"a=1", None),
        (b"mysignature=1", b"", b"mysignature=1", None),
    ],
)
def test_what_was_signed(query: bytes, body: bytes, signed: bytes, signature: str | None) -> None:
    assert split_signature(query, body) == (signed, signature)


def test_query_body_and_both_are_taken(spot: SpotClient) -> None:
    order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=50000"
    stamp = f"&timestamp={SystemClock().now_ms()}"
    headers = {
        "X-MBX-APIKEY": spot.key,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    whole = order + stamp
    signature = f"&signature={hmac_hex(spot.secret, whole.encode())}"
    for target, body in (
        (f"?{whole}{signature}", ""),
        ("", whole + signature),
        (
            f"?{order}",
            stamp[1:] + f"&signature={hmac_hex(spot.secret, (order + stamp[1:]).encode())}",
        ),
    ):
        reply = spot.raw("POST", f"/api/v3/order/test{target}", body, headers)
        assert (reply.status, reply.body) == (200, {}), target


def test_encoding_after_signing_is_refused(spot: SpotClient) -> None:
    """What some clients do with a colon: signed as it is, sent as %3A."""
    stamp = SystemClock().now_ms()
    raw = f"symbol=BTCUSDT&origClientOrderId=a:b&timestamp={stamp}"
    sent = raw.replace(":", "%3A")
    headers = {"X-MBX-APIKEY": spot.key}
    wrong, right = (hmac_hex(spot.secret, text.encode()) for text in (raw, sent))
    refused = spot.raw("GET", f"/api/v3/order?{sent}&signature={wrong}", headers=headers)
    assert refused.refusal == (-1022, "Signature for this request is not valid.")
    taken = spot.raw("GET", f"/api/v3/order?{sent}&signature={right}", headers=headers)
    assert taken.refusal == (-2013, "Order does not exist.")


@pytest.mark.parametrize("written", ["a%3ab", "a%3Ab", "a:b", "a+b", "a%20b", "%C3%A9", "a%2fb"])
def test_the_bytes_that_came_are_not_tidied_up(spot: SpotClient, written: str) -> None:
    """Two ways to write one text are two payloads; a parser that rewrites either would refuse."""
    query = f"symbol=BTCUSDT&origClientOrderId={written}&timestamp={SystemClock().now_ms()}"
    host, port = spot.base.removeprefix("http://").split(":")
    signature = hmac_hex(spot.secret, query.encode())
    lines = [
        f"GET /api/v3/order?{query}&signature={signature} HTTP/1.1",
        f"Host: {host}",
        f"X-MBX-APIKEY: {spot.key}",
        "Connection: close",
    ]
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert b'"code":-2013' in answer, answer


def test_what_is_no_text_is_refused_in_words(spot: SpotClient) -> None:
    assert spot.public("/api/v3/ticker/price?symbol=%FF").refusal[0] == -1100
    body = b"symbol=\xff"
    answer = spot.http.post(f"{spot.base}/api/v3/order", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, -1100)
