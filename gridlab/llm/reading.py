"""What may be asked of a model, and what of its reply is an answer at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridlab.errors import InvalidInput, ModelAnswerRefused
from gridlab.llm.answers import Health, Problem
from gridlab.llm.text import Thoughts, clean

#: Longest prompt, all messages together, in characters.
MOST_ASKED: Final = 60_000
_ROLES = ("system", "user", "assistant")


def checked(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """`messages` as they are sent: without hidden characters.

    Raises:
        InvalidInput: another role or field, no text, or more than MOST_ASKED characters.
    """
    asked = [dict(message) for message in messages]
    for message in asked:
        if set(message) != {"role", "content"} or not (
            message["role"] in _ROLES and isinstance(message["content"], str)
        ):
            has = ", ".join(sorted(message))
            raise InvalidInput(
                f"a message has {has} and role {message.get('role')!r}; give role (one of "
                f"{', '.join(_ROLES)}) and text as content"
            )
    length = sum(len(message["content"]) for message in asked)
    if not 0 < length <= MOST_ASKED:
        raise InvalidInput(f"the messages have {length} characters, not 1 to {MOST_ASKED}")
    return [{"role": message["role"], "content": clean(message["content"])} for message in asked]


def whole(reply: Any, model: str) -> str:
    """The text of a whole answer, or an error that says why it is none."""
    check_source(reply, model)
    if not reply.done:
        raise ModelAnswerRefused(f"{model} stopped in the middle of its answer")
    thoughts = Thoughts()
    seen = thoughts.without(reply.message.content or "")
    return clean(seen + thoughts.rest()).strip()


def check_source(reply: Any, model: str) -> None:
    """Raise unless `reply` is plain text of the model that was asked."""
    said = (reply.model or "").removesuffix(":latest")
    if said != model.removesuffix(":latest"):
        raise ModelAnswerRefused(f"{model} was asked and {said[:80]!r} answered")
    if reply.message.role != "assistant" or reply.message.tool_calls:
        raise ModelAnswerRefused(f"{model} asks for a tool instead of answering; none is offered")


def unhealthy(problem: Problem, address: str, took_ms: int | None = None) -> Health:
    """The health of an address where no model can be asked."""
    reason = {
        Problem.NOT_LOCAL: f"{address} is not on this machine and is not asked",
        Problem.SILENT: f"nothing answers at {address}; start Ollama with: ollama serve",
        Problem.STRANGE: f"what answers at {address} is not Ollama; correct the address",
        Problem.EMPTY: f"Ollama at {address} has no model; add one with: ollama pull gemma3:1b",
    }[problem]
    return Health(False, reason, (), took_ms, problem, address)
