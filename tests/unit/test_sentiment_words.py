"""Words into numbers: the lexicon, the features, rough Portuguese, and what is about crypto."""

from __future__ import annotations

import csv
import doctest
import random
from importlib.resources import files
from types import ModuleType
from zlib import crc32

import numpy as np
import pytest

from gridlab.sentiment import lexicon as lexicon_module
from gridlab.sentiment import relevance as relevance_module
from gridlab.sentiment.features import (
    BLOCKS,
    BUCKETS,
    DENSE,
    MAX_LETTERS,
    Featurizer,
    clean,
    language_of,
    parts,
)
from gridlab.sentiment.lexicon import fold, lexicon
from gridlab.sentiment.relevance import relevance
from gridlab.sentiment.training.translation import portuguese


def figures(text: str) -> dict[str, float]:
    return dict(zip(DENSE, Featurizer().features(text).dense.tolist(), strict=True))


@pytest.mark.parametrize("module", [lexicon_module, relevance_module])
def test_the_examples_in_the_docstrings(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_every_line_of_the_lexicon_is_whole() -> None:
    text = files("gridlab.sentiment.words").joinpath("lexicon.csv").read_text("utf-8")
    for row in csv.DictReader(text.splitlines()):
        assert row["en"].split() and row["pt"].split(), row
        assert fold(row["en"] + row["pt"]) == row["en"] + row["pt"], f"not folded: {row}"
        figure = row["weight"].rstrip("nidhbuv")
        assert row["weight"][len(figure) :] in ("", *"nidhbuv")
        assert -3 <= float(figure or 0) <= 3


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("No buyers left in the market", "en"),
        ("Não há compradores no mercado", "pt"),
        ("O preço do bitcoin caiu de novo", "pt"),
        ("a no do as", "en"),
        ("Bitcoin despenca", "pt"),
        ("Bitcoin", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text, parts(clean(text))) == language


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("not bad", "bad"),
        ("good", "not good"),
        ("very good", "good"),
        ("unemployment falls", "profit falls"),
        ("costs fall", "costs rise"),
        ("desemprego cai", "lucro cai"),
        ("não é ruim", "é ruim"),
        ("queda do desemprego", "alta do desemprego"),
        ("Stocks rise as fears ease", "Stocks fall on recession fears"),
        ("slow but strong", "strong but slow"),
    ],
)
def test_the_lexicon_counts_what_words_mean_together(better: str, worse: str) -> None:
    assert figures(better)["net"] > figures(worse)["net"]


@pytest.mark.parametrize(
    ("text", "more", "less"),
    [
        ("sales $5.1 bln vs. $5.4 bln", 0, 1),
        ("rose to 36m from 27m", 1, 0),
        ("lucro de 10 contra 8", 1, 0),
        ("12 and 13", 0, 0),
    ],
)
def test_figures_that_are_compared(text: str, more: int, less: int) -> None:
    found = figures(text)
    assert (found["more_than"], found["less_than"]) == (more, less)


def test_features_stay_in_their_table_and_are_the_same_anywhere() -> None:
    found = Featurizer().features("Bitcoin surges 5% to $70,000! https://t.co/x @user $BTC 🚀")
    assert found.ids.min() >= 0 and found.ids.max() < BUCKETS
    assert sum(rows for _, rows in BLOCKS.values()) == BUCKETS
    assert found.dense.shape == (len(DENSE),) and np.isfinite(found.dense).all()
    # Another hash would make every shipped model void.
    stem, word = crc32(b"s:zq") % 4_294_967_291, crc32(b"w:zq") % 4_294_967_291
    rows = [stem % (1 << 14), (1 << 14) + word % (1 << 14)]
    assert Featurizer().features("zq").ids[:2].tolist() == rows


def test_a_table_of_words_that_is_full_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"word{at} surges" for at in range(30)]
    wanted = [Featurizer().features(text).ids.tolist() for text in texts]
    monkeypatch.setattr("gridlab.sentiment.features._KNOWN_WORDS", 3)
    small = Featurizer()
    assert [small.features(text).ids.tolist() for text in texts] == wanted


@pytest.mark.parametrize("word", ["user", "url", "num", "pct", "money", "cash"])
def test_what_was_read_before_changes_nothing(word: str) -> None:
    """A word that is called like a kind of part is not taken for one, whichever comes first."""
    parts_of_all_kinds = "@someone https://x.y 5 5% $5 $BTC"
    wanted = Featurizer().features(word).ids.tolist()
    after = Featurizer()
    after.features(parts_of_all_kinds)
    assert after.features(word).ids.tolist() == wanted
    other = Featurizer()
    other.features(word)
    kinds = Featurizer().features(parts_of_all_kinds).ids.tolist()
    assert other.features(parts_of_all_kinds).ids.tolist() == kinds


def test_cleaning() -> None:
    assert clean("bit\u200bcoin\u202e \x00up\ud800") == "bitcoin  up"
    assert len(clean("x" * 10**6)) == MAX_LETTERS


def test_rough_portuguese_keeps_names_and_says_the_rest() -> None:
    said = portuguese("Bitcoin plunges as the central bank warns of inflation", random.Random(1))
    assert "bitcoin" in said and "inflacao" in said and "banco" in said
    assert language_of(said, parts(said)) == "pt"
    assert portuguese("x", random.Random(1)) == portuguese("x", random.Random(1))


def test_words_mean_the_same_in_both_tables() -> None:
    table = lexicon()
    for english, translated in (("plunges", "despenca"), ("not", "nao"), ("fraud", "golpe")):
        assert table.find(english, "en") == table.find(translated, "pt")
    assert table.find("despencaram", "pt") == table.find("plunge", "en"), "by its stem"
    assert table.find("dump", "pt") == table.find("dump", "en"), "traders mix languages"
    assert table.find("zq", "pt") is None


@pytest.mark.parametrize(
    ("text", "is_crypto", "assets"),
    [
        ("Bitcoin está indo para a lua!", True, ("BTC",)),
        ("Click the link near the dash, one more", False, ()),
        ("$LINK and $ONE break out", True, ("LINK", "ONE")),
        ("NEARUSDT at support", True, ("NEAR",)),
        ("My ADA and DOT bags, crypto is fun", True, ("ADA", "DOT")),
        ("o sol nasceu perto do link", False, ()),
        ("crypto news: the link is near the dot", True, ()),
        ("algo sobre cripto, ou sui generis", True, ()),
        ("SOL e BTC sobem", True, ("BTC", "SOL")),
        ("Ripple effect on banks", False, ()),
        ("Apple beats estimates", False, ()),
        ("THE BANK IS NEAR ONE DEAL", False, ()),
        ("a wallet full of tokens", True, ()),
        ("leather wallet on sale", False, ()),
        ("Avalanche kills three skiers", False, ()),
        ("Criptomoedas em queda", True, ()),
        ("", False, ()),
    ],
)
def test_what_is_about_crypto(text: str, is_crypto: bool, assets: tuple[str, ...]) -> None:
    found = relevance(text)
    assert (found.is_crypto, found.assets) == (is_crypto, assets)
