"""Whether a text is about crypto, and about which assets, by the list in `words/crypto.json`.

The list is kept by hand. Everyday words that are tickers too (link, near, dash, one) need company:
see `about` in the file. Knows no model and no exchange.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from gridlab.sentiment.features import clean
from gridlab.sentiment.lexicon import fold

_QUOTES = ("usdt", "usdc", "fdusd", "busd", "btc", "eth", "bnb", "usd", "brl", "eur", "perp")
_WORD = re.compile(r"\$?[^\W_]+(?:[.-][^\W_]+)*")
_LONGEST = 3  # words of a name or term


class Relevance(NamedTuple):
    """What in a text speaks of crypto.

    Args:
        is_crypto: whether the text counts as one about crypto.
        assets: symbols such as `BTC`, in the order of their first mention.
        terms: strong or weak terms of the list, folded, in order.
    """

    is_crypto: bool
    assets: tuple[str, ...]
    terms: tuple[str, ...]


class _List(NamedTuple):
    sure: dict[str, str]  # a name or ticker: its asset
    shy: dict[str, str]  # an everyday word that is a ticker
    shy_names: dict[str, str]
    strong: frozenset[str]
    weak: dict[str, int]  # a weak term: its kind
    symbols: dict[str, str]  # every ticker, for cashtags and pairs
    firsts: frozenset[str]  # the first words of names and terms


def relevance(text: str) -> Relevance:
    """What in `text` speaks of crypto; any string is accepted.

    >>> relevance("Click the link near the dash").is_crypto
    False
    >>> relevance("$LINK breaks out, NEAR follows").assets
    ('LINK', 'NEAR')
    >>> relevance("Bitcoin está indo para a lua!").assets
    ('BTC',)
    """
    words = _WORD.findall(clean(text))
    folded = [word.lower() if word.isascii() else fold(word) for word in words]
    known = _list()
    assets: dict[str, None] = {}
    shy: dict[str, None] = {}
    terms: dict[str, None] = {}
    for at, word in enumerate(folded):
        if (word[0] == "$" or word[-3:] in _PAIR_ENDS) and (asset := _by_sign(word, known)):
            assets.setdefault(asset)
        if word in known.firsts:
            for size in range(1, _LONGEST + 1):
                name = " ".join(folded[at : at + size])
                if name in known.sure:
                    assets.setdefault(known.sure[name])
                if name in known.strong or name in known.weak:
                    terms.setdefault(name)
        if word in known.shy and words[at].isupper():
            shy.setdefault(known.shy[word])
        elif word in known.shy_names and words[at][0].isupper():
            shy.setdefault(known.shy_names[word])
    has_strong = bool(assets) or any(term in known.strong for term in terms)
    kinds = {known.weak[term] for term in terms if term in known.weak}
    is_crypto = has_strong or len(kinds) + bool(shy) >= 2
    shouted = bool(words) and sum(word.isupper() for word in words) > len(words) / 2
    if is_crypto and not shouted:
        assets.update(shy)
    return Relevance(is_crypto, tuple(assets), tuple(terms))


_PAIR_ENDS = frozenset(quote[-3:] for quote in _QUOTES)


def _by_sign(word: str, known: _List) -> str | None:
    """The asset of a cashtag (`$link`) or of a pair (`linkusdt`), or None."""
    if word[0] == "$":
        return known.symbols.get(word[1:])
    for quote in _QUOTES:
        if word.endswith(quote) and (asset := known.symbols.get(word[: -len(quote)])):
            return asset
    return None


@cache
def _list() -> _List:
    text = files("gridlab.sentiment.words").joinpath("crypto.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    sure: dict[str, str] = {}
    shy: dict[str, str] = {}
    shy_names: dict[str, str] = {}
    symbols: dict[str, str] = {}
    for asset, entry in document["assets"].items():
        symbols[asset.lower()] = asset
        for word in (*entry.get("names", ()), *entry.get("tickers", ())):
            sure[word] = asset
        symbols.update(dict.fromkeys(entry.get("tickers", ()), asset))
        symbols.update(dict.fromkeys(entry.get("shy", ()), asset))
        shy.update(dict.fromkeys(entry.get("shy", ()), asset))
        shy_names.update(dict.fromkeys(entry.get("shy_names", ()), asset))
    weak = {term: kind for kind, terms in enumerate(document["weak"]) for term in terms}
    strong = frozenset(document["strong"])
    firsts = frozenset(name.split()[0] for name in (*sure, *strong, *weak))
    return _List(sure, shy, shy_names, strong, weak, symbols, firsts)
