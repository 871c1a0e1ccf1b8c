"""LocalAIClient: asks a language model that runs on this machine, through Ollama.

Each call has one deadline that holds for all its attempts, an answer of bounded size, and an answer
that names the model that was asked; anything else is an error that says which. Every verb has a
blocking form and an awaitable one (`achat_completion`), and the first runs the second in a loop of
its own, so that both work in a notebook. Cancelling either closes the connection, on which Ollama
stops generating. What an answer says is not judged here; see `gridlab.llm.facts`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from copy import copy
from difflib import get_close_matches
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from gridlab.clock import monotonic_s
from gridlab.domain.hosts import is_loopback
from gridlab.errors import InvalidInput, ModelAnswerRefused, ModelUnavailable
from gridlab.llm import loop
from gridlab.llm.answers import ChatAnswer, Health, Preset, Problem
from gridlab.llm.reading import check_source, checked, unhealthy, whole
from gridlab.llm.schema import check_schema, read
from gridlab.llm.text import Thoughts, clean

DEFAULT_URL: Final = "http://127.0.0.1:11434"
#: Seconds for the list of models, whatever an answer may take.
LIST_S: Final = 3.0
#: Seconds for which a list of models serves everybody who asks.
KEPT_S: Final = 2.0
_MOST_LISTED_BYTES = 1_000_000
_MOST_ANSWER_BYTES = 512_000
_MOST_MODELS = 100
_LONGEST_NAME = 200
_PAUSE_S = 0.2
T = TypeVar("T")


class LocalAIClient:
    """One Ollama, asked in calls of bounded length.

    Args:
        base_url: its address; on this machine, or nothing is ever sent.
        timeout_s: seconds for one call with all its attempts.
        retries: further attempts when nobody was there, the line broke or Ollama was busy. A slow,
            wrong or refused answer is not asked for again.
        presets: models by the configuration's names for them, the preferred one first.
        temperature, max_tokens: for a model that comes from no preset.
        seed: what makes Ollama give the same answer to the same question.
        is_remote_allowed: True to ask a server on another machine, which then reads every prompt.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_URL,
        *,
        timeout_s: float = 30.0,
        retries: int = 1,
        presets: Mapping[str, Preset] | None = None,
        temperature: float = 0.3,
        max_tokens: int = 1000,
        seed: int = 0,
        is_remote_allowed: bool = False,
    ) -> None:
        if timeout_s <= 0 or retries < 0 or max_tokens < 1:
            raise InvalidInput(
                f"timeout_s is {timeout_s}, retries {retries}, max_tokens {max_tokens}; give more "
                "than 0 seconds, 0 or more retries and at least 1 token"
            )
        self._url = urlsplit(base_url)
        self.timeout_s = timeout_s
        self.retries = retries
        self.presets = dict(presets or {})
        self._plain = Preset("", temperature, max_tokens)
        self._seed = seed
        self._is_allowed = is_remote_allowed or is_loopback(self._url.hostname or "")
        self._lock = threading.Lock()
        self._last: tuple[float, Health] | None = None

    def __repr__(self) -> str:
        return f"LocalAIClient({self.address!r}, presets={list(self.presets)})"

    @property
    def address(self) -> str:
        """What is asked, without user, password and query."""
        from gridlab.llm.wire import shown

        return shown(self._url)

    def within(self, seconds: float) -> LocalAIClient:
        """A client of the same server whose calls may take at most `seconds`, tried once."""
        other = copy(self)
        other.timeout_s, other.retries = min(seconds, self.timeout_s), 0
        other._lock = threading.Lock()
        return other

    # --- what is there ----------------------------------------------------------------------------

    def health_check(self) -> Health:
        """Whether a model can be asked, and if not why; at most KEPT_S old, never raises."""
        with self._lock:  # many who ask at once share one answer
            return loop.wait(self.ahealth_check())

    async def ahealth_check(self) -> Health:
        """`health_check`, awaitable."""
        if self._last is None or monotonic_s() - self._last[0] >= KEPT_S:
            found = await self._look()
            self._last = (monotonic_s(), found)
        return self._last[1]

    def list_models(self) -> tuple[str, ...]:
        """The models that Ollama has.

        Raises:
            ModelUnavailable: Ollama is not there, or on another machine.
        """
        return _listed(self.health_check())

    async def alist_models(self) -> tuple[str, ...]:
        """`list_models`, awaitable."""
        return _listed(await self.ahealth_check())

    async def _look(self) -> Health:
        if not self._is_allowed:
            return unhealthy(Problem.NOT_LOCAL, self.address)
        began_s = monotonic_s()
        try:
            models = await asyncio.wait_for(self._tags(), min(LIST_S, self.timeout_s))
        except TimeoutError:
            return unhealthy(Problem.SILENT, self.address)
        except (ModelUnavailable, ModelAnswerRefused) as error:
            is_silent = isinstance(error, ModelUnavailable) and error.status is None
            problem = Problem.SILENT if is_silent else Problem.STRANGE
            took_ms = None if is_silent else _since_ms(began_s)
            return unhealthy(problem, self.address, took_ms)
        took_ms = _since_ms(began_s)
        if not models:
            return unhealthy(Problem.EMPTY, self.address, took_ms)
        return Health(True, "", models, took_ms, address=self.address)

    async def _tags(self) -> tuple[str, ...]:
        from gridlab.llm import wire

        try:
            async with wire.opened(self._url, _MOST_LISTED_BYTES) as client:
                listed = await client.list()
        except wire.FAILURES as error:
            raise wire.as_ours(error, self.address) from error
        names = [model.model or "" for model in listed.models]
        if listed.models and not any(names):
            raise ModelAnswerRefused(f"what answers at {self.address} lists models without names")
        fit = [name for name in names if 0 < len(name) <= _LONGEST_NAME and name.isprintable()]
        return tuple(dict.fromkeys(fit))[:_MOST_MODELS]

    # --- asking -----------------------------------------------------------------------------------

    def chat_completion(
        self,
        messages: Sequence[Mapping[str, str]],
        model: str | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        preset: str | None = None,
    ) -> ChatAnswer:
        """What the model answers to `messages`.

        Args:
            messages: `{"role": "system" | "user" | "assistant", "content": text}`, in order.
            model: as Ollama lists it; None for the preset's, or the first preset that is there.
            schema: the JSON schema that the answer must fit; see `gridlab.llm.schema`.
            temperature, max_tokens: instead of the preset's.
            preset: a name of the configuration's presets.

        Raises:
            InvalidInput: messages, schema or preset that cannot be used; nothing was sent.
            ModelUnavailable: no such model, nobody there, too slow, busy, or it failed.
            ModelAnswerRefused: the answer is too long, of another model, or does not fit.
        """
        return loop.wait(
            self.achat_completion(
                messages,
                model,
                schema=schema,
                temperature=temperature,
                max_tokens=max_tokens,
                preset=preset,
            )
        )

    async def achat_completion(
        self,
        messages: Sequence[Mapping[str, str]],
        model: str | None = None,
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        preset: str | None = None,
    ) -> ChatAnswer:
        """`chat_completion`, awaitable."""
        from gridlab.llm import wire  # noqa: F401 - the first import is not a part of the call

        asked = checked(messages)
        if schema is not None:
            check_schema(schema)
        began_s = monotonic_s()

        async def answered() -> ChatAnswer:
            chosen = await self._choose(model, preset, temperature, max_tokens)
            reply = await self._repeated(lambda: self._chat(asked, chosen, schema))
            text = whole(reply, chosen.model_name)
            is_cut = reply.done_reason == "length"
            if schema is not None and is_cut:
                raise ModelAnswerRefused(
                    f"{chosen.model_name} was cut at {chosen.max_tokens} tokens; give more "
                    "max_tokens"
                )
            parsed = None if schema is None else read(text, schema)
            took_ms = _since_ms(began_s)
            return ChatAnswer(text, chosen.model_name, took_ms, parsed, reply.eval_count, is_cut)

        return await self._in_time(answered(), began_s)

    def stream(
        self,
        messages: Sequence[Mapping[str, str]],
        model: str | None = None,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        preset: str | None = None,
    ) -> Iterator[str]:
        """The answer in pieces, as the model writes it; arguments and errors of `chat_completion`.

        Leaving the loop, or `close()`, ends the connection and with it the model's work.
        """
        parts = self.astream(
            messages, model, temperature=temperature, max_tokens=max_tokens, preset=preset
        )
        try:
            while (piece := loop.wait(_next(parts))) is not None:
                yield piece
        finally:
            loop.wait(_close(parts))

    async def astream(
        self,
        messages: Sequence[Mapping[str, str]],
        model: str | None = None,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        preset: str | None = None,
    ) -> AsyncIterator[str]:
        """`stream`, asynchronous; `aclose()` or cancelling the task ends the connection."""
        asked = checked(messages)
        began_s = monotonic_s()
        chosen = await self._in_time(self._choose(model, preset, temperature, max_tokens), began_s)
        parts = self._parts(asked, chosen)
        thoughts, is_done = Thoughts(), False
        try:
            while (part := await self._in_time(_next(parts), began_s)) is not None:
                check_source(part, chosen.model_name)
                is_done = bool(part.done)
                if piece := clean(thoughts.without(part.message.content or "")):
                    yield piece
            if rest := clean(thoughts.rest()):
                yield rest
        finally:
            await _close(parts)
        if not is_done:
            raise ModelAnswerRefused(f"{chosen.model_name} stopped in the middle of its answer")

    # --- how --------------------------------------------------------------------------------------

    async def _choose(
        self, model: str | None, preset: str | None, temperature: float | None, most: int | None
    ) -> Preset:
        """The model to ask and how; the first preset that is there when nobody names one."""
        base = self._plain
        if preset is not None:
            if preset not in self.presets:
                near = get_close_matches(preset, self.presets, n=1)
                hint = f"; the nearest is {near[0]}" if near else ""
                raise InvalidInput(f"no preset is called {preset!r}{hint}")
            base = self.presets[preset]
        elif model is None:
            base = await self._first_there()
        else:
            named = (one for one in self.presets.values() if one.model_name == model)
            base = next(named, base)
        name = model or base.model_name
        if not self._is_allowed:
            raise ModelUnavailable(unhealthy(Problem.NOT_LOCAL, self.address).reason)
        return Preset(
            name,
            base.temperature if temperature is None else temperature,
            base.max_tokens if most is None else most,
        )

    async def _first_there(self) -> Preset:
        models = await self.alist_models()
        for preset in self.presets.values():
            if preset.model_name in models:
                return preset
        if self.presets or not models:
            wanted = next((one.model_name for one in self.presets.values()), "gemma3:1b")
            raise ModelUnavailable(
                f"Ollama at {self.address} has none of the configured models; add one with: "
                f"ollama pull {wanted}"
            )
        return Preset(models[0], self._plain.temperature, self._plain.max_tokens)

    async def _chat(
        self, asked: list[dict[str, str]], chosen: Preset, schema: Mapping[str, Any] | None
    ) -> Any:
        from gridlab.llm import wire

        try:
            async with wire.opened(self._url, _MOST_ANSWER_BYTES) as client:
                return await client.chat(
                    model=chosen.model_name,
                    messages=asked,
                    format=None if schema is None else dict(schema),
                    options=self._options(chosen),
                    think=False,
                )
        except wire.FAILURES as error:
            raise wire.as_ours(error, self.address) from error

    async def _parts(self, asked: list[dict[str, str]], chosen: Preset) -> AsyncIterator[Any]:
        from gridlab.llm import wire

        try:
            async with wire.opened(self._url, _MOST_ANSWER_BYTES) as client:
                parts = await client.chat(
                    model=chosen.model_name,
                    messages=asked,
                    options=self._options(chosen),
                    think=False,
                    stream=True,
                )
                try:
                    async for part in parts:
                        yield part
                finally:
                    await _close(parts)
        except wire.FAILURES as error:
            raise wire.as_ours(error, self.address) from error

    def _options(self, chosen: Preset) -> dict[str, Any]:
        return {
            "temperature": chosen.temperature,
            "num_predict": chosen.max_tokens,
            "seed": self._seed,
        }

    async def _repeated(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, asked again after a pause where that could help."""
        from gridlab.llm.wire import may_be_repeated

        for attempt in range(self.retries):
            try:
                return await ask()
            except ModelUnavailable as error:
                if not may_be_repeated(error):
                    raise
                await asyncio.sleep(_PAUSE_S * 2**attempt)
        return await ask()

    async def _in_time(self, work: Awaitable[T], began_s: float) -> T:
        left_s = max(0.0, self.timeout_s - (monotonic_s() - began_s))
        try:
            return await asyncio.wait_for(work, left_s)
        except TimeoutError:
            raise ModelUnavailable(
                f"no whole answer from {self.address} within {self.timeout_s:g} s; give more "
                "timeout_seconds or a smaller model"
            ) from None


def _listed(health: Health) -> tuple[str, ...]:
    if not health.is_running:
        raise ModelUnavailable(health.reason)
    return health.models


async def _next(parts: AsyncIterator[T]) -> T | None:
    return await anext(parts, None)


async def _close(parts: Any) -> None:
    await parts.aclose()


def _since_ms(began_s: float) -> int:
    return round(1000 * (monotonic_s() - began_s))
