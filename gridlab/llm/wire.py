"""The `ollama` package's client, opened so that it reaches one address and reads a bounded answer.

No proxy, no redirect, no key from the environment, no compressed body; the address of the
configuration must be on this machine unless the caller says otherwise. Imported late, because
`ollama` brings httpx and pydantic with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import SplitResult

import httpx
import ollama

from gridlab.errors import GridLabError, ModelAnswerRefused, ModelUnavailable

#: What an answer of the wrong shape raises inside `ollama`; pydantic's error is a ValueError.
_SHAPE = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
#: Everything that a call may raise because of the other side, for `as_ours`.
FAILURES: tuple[type[Exception], ...] = (
    *(ollama.ResponseError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError),
    *_SHAPE,
)


class _Bounded(httpx.AsyncByteStream):
    """A body that ends in an error after `most_bytes`."""

    def __init__(self, body: httpx.AsyncByteStream, most_bytes: int) -> None:
        self._body = body
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for part in self._body:
            read += len(part)
            if read > self._most_bytes:
                raise ModelAnswerRefused(
                    f"the answer is longer than {self._most_bytes} bytes and was not read further"
                )
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()


class _Transport(httpx.AsyncHTTPTransport):
    """HTTP to one address, every body bounded."""

    def __init__(self, most_bytes: int, is_tls: bool) -> None:
        super().__init__(verify=is_tls, trust_env=False)
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.pop("authorization", None)  # OLLAMA_API_KEY is for another service
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise ModelAnswerRefused("the answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Bounded(response.stream, self._most_bytes)
        return response


def opened(url: SplitResult, most_bytes: int) -> ollama.AsyncClient:
    """A client for one call; close it by leaving its `async with`."""
    transport = _Transport(most_bytes, is_tls=url.scheme == "https")
    return ollama.AsyncClient(
        shown(url), transport=transport, trust_env=False, follow_redirects=False, timeout=None
    )


def as_ours(error: Exception, address: str) -> GridLabError:
    """The error of ours that says what `error` means."""
    if isinstance(error, ollama.ResponseError):
        said = f"{error.error!s:.200}"
        if 300 <= error.status_code < 400:
            return ModelAnswerRefused(f"{address} sends elsewhere, which is not followed")
        return ModelUnavailable(f"Ollama at {address} says: {said}", status=error.status_code)
    if isinstance(error, (OSError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)):
        return ModelUnavailable(
            f"nothing answers at {address} ({type(error).__name__}); start Ollama with: "
            "ollama serve"
        )
    return ModelAnswerRefused(
        f"what answers at {address} does not speak as Ollama does ({type(error).__name__})"
    )


def may_be_repeated(error: GridLabError) -> bool:
    """Whether asking again could help: nobody was there, the line broke, or Ollama was busy."""
    return isinstance(error, ModelUnavailable) and error.status in (None, 503)


def shown(url: SplitResult) -> str:
    """The address for people and for the client: no user, no password, no query."""
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    try:
        port = "" if url.port is None else f":{url.port}"
    except ValueError:
        port = ""
    return f"{url.scheme}://{host}{port}{url.path.rstrip('/')}"
