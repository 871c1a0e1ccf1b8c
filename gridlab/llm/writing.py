"""One text about facts: written by a model and checked, or by a template, and it says by which.

A brief holds everything: the facts, what to write about them, the labels that were computed and
that the answer must repeat, and the sentences that stand when no model's answer can be used. The
prompt is made of these alone, so no stranger's words can be in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from gridlab.clock import iso
from gridlab.errors import ModelAnswerRefused, ModelUnavailable
from gridlab.llm import loop
from gridlab.llm.answers import ChatAnswer, Problem
from gridlab.llm.client import LocalAIClient
from gridlab.llm.facts import Facts, Language, age
from gridlab.llm.guard import check

#: Who wrote what no model wrote.
TEMPLATE: Final = "template"
MOST_SENTENCES: Final = 8
LONGEST_SENTENCE: Final = 400
#: What no text of ours needs and what would lead somebody away, or into markup.
_FOREIGN: Final = re.compile(r"://|www\.|<|\]\(|`", re.IGNORECASE)
#: Why nobody could be asked, where the reader's language is not that of `Health.reason`.
_UNHEALTHY: Final[dict[Language, dict[Problem, str]]] = {
    "en": {},
    "pt": {
        Problem.NOT_LOCAL: "{address} não está nesta máquina e não é consultado",
        Problem.SILENT: "nada responde em {address}; inicie o Ollama com: ollama serve",
        Problem.STRANGE: "o que responde em {address} não é o Ollama; corrija o endereço",
        Problem.EMPTY: "o Ollama em {address} não tem modelo; adicione um: ollama pull gemma3:1b",
    },
}
_LANGUAGE_NAMES: Final = {"en": "English", "pt": "Brazilian Portuguese"}
SYSTEM: Final = (
    "You write for the user of a grid trading workbench, in {language}. You are given facts and "
    "told what to write about them. Use only these facts. Write every figure exactly as it is "
    "given, with its sign and unit, and no other figure: do not compute, round, count or estimate, "
    "and write no numbers as words. Do not promise results and do not tell the user to buy or "
    "sell. Answer with JSON: `sentences`, one to {most} plain sentences without markup{labels}."
)


@dataclass(frozen=True, slots=True)
class Brief:
    """What to write, and what to say when no model can.

    Args:
        kind: the task, such as `market_analysis`.
        instruction: for the model, in English.
        template: the deterministic sentences, in `language`.
        labels: name -> (the computed value, all values); an answer with another one is refused.
        more: further properties of the answer's schema, which `judge` understands.
        judge: raises `ModelAnswerRefused` for an answer that cannot be used, and gives what is
            kept of it, with the facts that its sentences may also use.
        kept: what stands in `Written.values` when the template answers.
        told: the facts of the template, where it tells more than the prompt.
        as_of_ms: when its prices were true, in market time; None where it tells no price of now.
        warning: a sentence in `language` that stands before whatever is written, and in the prompt;
            empty when there is nothing to warn of.
    """

    kind: str
    facts: Facts
    language: Language
    instruction: str
    template: tuple[str, ...]
    labels: Mapping[str, tuple[str, tuple[str, ...]]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    more: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    judge: Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], Facts]] | None = None
    kept: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    told: Facts | None = None
    as_of_ms: int | None = None
    warning: str = ""

    def schema(self) -> dict[str, Any]:
        """What the model's answer must fit."""
        sentence = {"type": "string", "minLength": 1, "maxLength": LONGEST_SENTENCE}
        sentences = {
            "type": "array",
            "items": sentence,
            "minItems": 1,
            "maxItems": MOST_SENTENCES,
        }
        labels = {
            name: {"type": "string", "enum": list(choices)}
            for name, (_, choices) in self.labels.items()
        }
        properties = {"sentences": sentences, **labels, **self.more}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def messages(self) -> list[dict[str, str]]:
        """The prompt."""
        labels = "".join(f", and `{name}` as the facts have it" for name in self.labels)
        labels += "".join(f", and `{name}`" for name in self.more)
        system = SYSTEM.format(
            language=_LANGUAGE_NAMES[self.language], most=MOST_SENTENCES, labels=labels
        )
        told = [f"{name}: {value}" for name, (value, _) in self.labels.items()]
        if self.warning:
            told.append(f"warning, shown before your text: {self.warning}")
        facts = "\n".join(["Facts:", self.facts.lines(self.language), *told])
        return [
            {"role": "system", "content": system},
            {"role": "user", "content": f"{facts}\n\n{self.instruction}"},
        ]

    def by_template(self, refusal: str) -> Written:
        """The deterministic text, and why it stands."""
        facts = self.told or self.facts
        return Written(
            self.kind,
            self.language,
            self.warned(self.template),
            TEMPLATE,
            refusal,
            0,
            self.kept,
            facts,
            self.as_of_ms,
            is_stale=bool(self.warning),
        )

    def warned(self, sentences: tuple[str, ...]) -> tuple[str, ...]:
        """The sentences after the warning, whoever wrote them: a model could leave it out."""
        return (self.warning, *sentences) if self.warning else sentences


@dataclass(frozen=True, slots=True)
class Written:
    """One text, and where it comes from.

    Args:
        author: the model's name, or `template`.
        refusal: why no model wrote it; empty when one did.
        took_ms: how long the model took; 0 for the template.
        values: what else the task keeps of the answer.
        as_of_ms: when its prices were true, in market time; None where it tells no price of now.
        is_stale: whether they were older than they may be when it was written.
    """

    kind: str
    language: Language
    sentences: tuple[str, ...]
    author: str
    refusal: str
    took_ms: int
    values: Mapping[str, Any]
    facts: Facts
    as_of_ms: int | None = None
    is_stale: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.sentences)

    @property
    def is_by_model(self) -> bool:
        return self.author != TEMPLATE

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the facts."""
        return {
            "kind": self.kind,
            "language": self.language,
            "text": self.text,
            "as_of": None if self.as_of_ms is None else iso(self.as_of_ms),
            "stale": self.is_stale,
            "author": self.author,
            "template_reason": self.refusal or None,
            "response_time_ms": self.took_ms if self.is_by_model else None,
        }


def stale_warning(age_ms: int, language: Language) -> str:
    """What stands before a text whose prices are older than they may be."""
    old = age(age_ms).shown(language)
    if language == "en":
        return f"Attention: these figures are stale; their prices are {old} old."
    return f"Atenção: estes números estão desatualizados; seus preços têm {old}."


def write(
    client: LocalAIClient | None,
    brief: Brief,
    off: str = "",
    still_wanted: Callable[[], None] | None = None,
) -> Written:
    """`awrite`, blocking.

    Args:
        still_wanted: called now and then; what it raises ends the request.
    """
    if client is None or off:
        return brief.by_template(off or "no local model is configured")
    return loop.wait(awrite(client, brief), still_wanted)


async def awrite(client: LocalAIClient | None, brief: Brief, off: str = "") -> Written:
    """The text of `brief`: a model's where its answer passes every check, else the template's.

    Args:
        client: None asks nobody.
        off: why nobody is to be asked; empty to ask.

    Never raises for what a model or its server does.
    """
    if client is None or off:
        return brief.by_template(off or "no local model is configured")
    health = await client.ahealth_check()
    if not health:
        words = _UNHEALTHY[brief.language].get(health.problem, health.reason)
        return brief.by_template(words.replace("{address}", health.address))
    try:
        answer = await client.achat_completion(brief.messages(), schema=brief.schema())
        return _checked(answer, brief)
    except (ModelUnavailable, ModelAnswerRefused) as error:
        return brief.by_template(str(error))


def _checked(answer: ChatAnswer, brief: Brief) -> Written:
    for name, (value, _) in brief.labels.items():
        if answer.parsed[name] != value:
            raise ModelAnswerRefused(
                f"{answer.model} calls {name} {answer.parsed[name]}, and it is {value}"
            )
    values, facts = dict(brief.kept), brief.facts
    if brief.judge is not None:
        judged, facts = brief.judge(answer.parsed)
        values |= judged
    sentences = tuple(" ".join(sentence.split()) for sentence in answer.parsed["sentences"])
    text = " ".join(sentences)
    if not text or _FOREIGN.search(text):
        raise ModelAnswerRefused(f"{answer.model} writes links or markup, which was not asked for")
    check(text, facts, brief.language)
    written = brief.by_template("")
    return replace(
        written,
        sentences=brief.warned(sentences),
        author=answer.model,
        took_ms=answer.took_ms,
        values=MappingProxyType(values),
        facts=facts,
    )
