"""Portuguese for the sentences that the engine writes.

The engine speaks English with its values inside the sentence. Where a sentence is known here, its
values are lifted out and put into the Portuguese one; any other sentence passes as it is, for an
English reason is better than none. Knows no exception and no HTTP.
"""

from __future__ import annotations

import re
from typing import Final

from gridlab.api.messages import PORTUGUESE

#: (English, Portuguese) with the same `{placeholders}`, tried in order.
_SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    (
        "the investment of {invested} gives orders of {quantity}; the venue takes no less than "
        "{least} at {price} (at least {notional} an order). Invest at least {needed} for {levels} "
        "levels, or use fewer levels",
        "o investimento de {invested} resulta em ordens de {quantity}; a corretora não aceita "
        "menos de {least} a {price} (no mínimo {notional} por ordem). Invista pelo menos {needed} "
        "para {levels} níveis, ou use menos níveis",
    ),
    (
        "the quantity gives orders of {quantity}; the venue takes no less than {least} at {price} "
        "(at least {notional} an order). Invest at least {needed} for {levels} levels, or use "
        "fewer levels",
        "a quantidade resulta em ordens de {quantity}; a corretora não aceita menos de {least} a "
        "{price} (no mínimo {notional} por ordem). Invista pelo menos {needed} para {levels} "
        "níveis, ou use menos níveis",
    ),
    (
        "{count} levels need {orders} open orders; the venue allows {limit} on {symbol}. Use at "
        "most {most} levels",
        "{count} níveis precisam de {orders} ordens abertas; a corretora permite {limit} em "
        "{symbol}. Use no máximo {most} níveis",
    ),
    (
        "{symbol} is {status} at the venue; wait or choose another symbol",
        "{symbol} está {status} na corretora; aguarde ou escolha outro símbolo",
    ),
    (
        "the tightest grid would earn {percent} % a round after fees of {fee} % on each side; a "
        "spacing above about {least} % is needed, so widen it or use fewer levels",
        "o intervalo mais estreito renderia {percent} % por ciclo após taxas de {fee} % em cada "
        "lado; é preciso um espaçamento acima de cerca de {least} %: aumente-o ou use menos níveis",
    ),
    (
        "the price {price} is above the range {low} to {high}, so only buys would rest; move the "
        "range to hold the price",
        "o preço {price} está acima da faixa de {low} a {high}, então só haveria compras; mova a "
        "faixa para conter o preço",
    ),
    (
        "the price {price} is below the range {low} to {high}, so the whole grid would be bought "
        "at once; move the range to hold the price",
        "o preço {price} está abaixo da faixa de {low} a {high}, então todo o grid seria comprado "
        "de uma vez; mova a faixa para conter o preço",
    ),
    (
        "the grid needs {needed} and {free} is free, {short} too little; invest less or free some "
        "{quote}",
        "o grid precisa de {needed} e há {free} livre, faltam {short}; invista menos ou libere "
        "{quote}",
    ),
    (
        "the lowest line would be {price}; use fewer levels, a smaller spacing or a geometric grid",
        "a linha mais baixa seria {price}; use menos níveis, um espaçamento menor ou um grid "
        "geométrico",
    ),
    (
        "two lines fall on the same price {price} because the tick size is {tick}; use fewer "
        "levels or a wider spacing",
        "duas linhas caem no mesmo preço {price} porque o tick é {tick}; use menos níveis ou um "
        "espaçamento maior",
    ),
    (
        "price {price} is outside {low} to {high}; move the range",
        "o preço {price} está fora de {low} a {high}; mova a faixa",
    ),
    (
        "quantity {quantity} is outside {low} to {high}; change the investment or the number of "
        "levels",
        "a quantidade {quantity} está fora de {low} a {high}; mude o investimento ou o número de "
        "níveis",
    ),
    (
        "order value {value} is above the venue's maximum {limit}; invest less or use more levels",
        "o valor da ordem {value} está acima do máximo da corretora, {limit}; invista menos ou use "
        "mais níveis",
    ),
    (
        "{side} at {price} is outside the venue's band {low} to {high} around {reference}; narrow "
        "the range",
        "{side} a {price} está fora da banda da corretora, de {low} a {high} em torno de "
        "{reference}; estreite a faixa",
    ),
    (
        "market_type is {market}; the replay venue holds a spot account only, so choose spot",
        "market_type é {market}; a corretora simulada só tem conta spot, então escolha spot",
    ),
    (
        "the recording has ended, so no new grid can start; begin anew with gridlab up --fresh",
        "a gravação terminou, então nenhum grid novo pode iniciar; recomece com gridlab up --fresh",
    ),
    (
        "{count} bots run ({symbols}) and trading.max_concurrent_pairs is {limit}; stop one or "
        "raise the limit in the configuration",
        "{count} bots em execução ({symbols}) e trading.max_concurrent_pairs é {limit}; pare um ou "
        "aumente o limite na configuração",
    ),
    (
        "the engine is {state}; try again when it is ready",
        "o motor está em {state}; tente de novo quando estiver pronto",
    ),
    (
        "a bot already runs on {symbol} (run {run}, {phase}); stop it first",
        "já existe um bot em {symbol} (execução {run}, {phase}); pare-o antes",
    ),
    (
        "the bot on {symbol} (run {run}) is already stopped",
        "o bot em {symbol} (execução {run}) já está parado",
    ),
    (
        "the bot on {symbol} is halted ({reason}); cancel its orders at the venue",
        "o bot em {symbol} está travado ({reason}); cancele suas ordens na corretora",
    ),
    (
        "no bot has run on {symbol}; start one with POST /api/grid/start",
        "nenhum bot foi executado em {symbol}; inicie um com POST /api/grid/start",
    ),
    (
        "{symbol} has no price yet on {market}: its recording begins at {begin} and it is {now}",
        "{symbol} ainda não tem preço em {market}: sua gravação começa em {begin} e agora é {now}",
    ),
)


def _pattern(sentence: str) -> re.Pattern[str]:
    """A pattern that lifts the values out of `sentence`."""
    parts = re.split(r"\{(\w+)\}", sentence)
    texts, names = parts[::2], parts[1::2]
    pieces = [re.escape(texts[0])]
    for name, after in zip(names, texts[1:], strict=True):
        pieces.append(f"(?P<{name}>.+?){re.escape(after)}")
    return re.compile("".join(pieces))


_PATTERNS: Final = tuple((_pattern(english), portuguese) for english, portuguese in _SENTENCES)


def translate(text: str, language: str) -> str:
    """`text` in `language` where its pattern is known, else as it is."""
    if language != PORTUGUESE:
        return text
    for pattern, template in _PATTERNS:
        found = pattern.fullmatch(text)
        if found:
            return template.format(**found.groupdict())
    return text
