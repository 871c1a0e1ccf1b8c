"""The two languages say the same things, with the same values."""

from __future__ import annotations

import re

import pytest

from gridlab.api import messages, translation
from gridlab.api.messages import ENGLISH, PORTUGUESE, say
from gridlab.api.translation import translate

PLACE = re.compile(r"\{(\w+)\}")


@pytest.mark.parametrize("key", messages._TEXTS)
def test_both_languages_have_the_same_values(key: str) -> None:
    english, portuguese = messages._TEXTS[key]
    assert set(PLACE.findall(english)) == set(PLACE.findall(portuguese))
    assert key == "as_told" or english != portuguese


def test_values_are_not_read_as_placeholders() -> None:
    assert say("http_404", PORTUGUESE, path="/{x}{0}") == "Não há nada em /{x}{0}"


@pytest.mark.parametrize(("english", "portuguese"), translation._SENTENCES)
def test_engine_sentences_are_translated(english: str, portuguese: str) -> None:
    names = PLACE.findall(english)
    values = {name: f"<{name} 1.5 {{x}}>" for name in names}
    said = english.format(**values)
    assert translate(said, ENGLISH) == said
    assert translate(said, PORTUGUESE) == portuguese.format(**values)


def test_an_unknown_sentence_passes() -> None:
    assert translate("the moon is too near", PORTUGUESE) == "the moon is too near"
