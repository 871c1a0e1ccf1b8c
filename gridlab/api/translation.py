"""Portuguese for the sentences that the engine writes.

The engine speaks English with its values inside the sentence. Where a sentence is known here, its
values are lifted out and put into the Portuguese one; a value that is a sentence again is
translated too. Any other sentence passes as it is, for an English reason is better than none: so do
the words of a venue, of a person, and of an exception that nobody foresaw. Knows no exception and
no HTTP.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache
from typing import Final, TypeAlias

from gridlab.api import (
    translation_bots,
    translation_faults,
    translation_models,
    translation_venues,
)
from gridlab.api.messages import PORTUGUESE
from gridlab.api.sentence import NESTED, Sentence

#: English sentences, and the Portuguese ones for what they lift out.
Sentences: TypeAlias = tuple[tuple[Sentence, str], ...]

#: Longer texts are nobody's sentence, and are not taken apart.
LONGEST: Final = 800
#: Sentences in one another or in a row; more are nobody's either.
DEEPEST: Final = 8

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
        "{count} levels need {orders} open orders; the venue allows {limit} on {symbol}, so only "
        "the {near} nearest the price rest and the others wait until it comes nearer. Use at most "
        "{most} levels to have all of them rest",
        "{count} níveis precisam de {orders} ordens abertas; a corretora permite {limit} em "
        "{symbol}, então só as {near} mais próximas do preço ficam abertas e as outras esperam que "
        "ele se aproxime. Use no máximo {most} níveis para que todas fiquem abertas",
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
        "the grid needs {needed} of margin ({orders} of orders at leverage {leverage}) and {free} "
        "is free, {short} too little; invest less, raise the leverage or free some {quote}",
        "o grid precisa de {needed} de margem ({orders} em ordens com alavancagem {leverage}) e há "
        "{free} livre, faltam {short}; invista menos, aumente a alavancagem ou libere {quote}",
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
        "buy at {price} is outside the venue's band {low} to {high} around {reference}; narrow the "
        "range",
        "a compra a {price} está fora da banda da corretora, de {low} a {high} em torno de "
        "{reference}; estreite a faixa",
    ),
    (
        "sell at {price} is outside the venue's band {low} to {high} around {reference}; narrow "
        "the range",
        "a venda a {price} está fora da banda da corretora, de {low} a {high} em torno de "
        "{reference}; estreite a faixa",
    ),
    (
        "market_type is {market}, and nothing of {same} is recorded in the span that is played; "
        "choose {others}, or start with a replay.start and replay.end that hold such a recording "
        "(gridlab data list names them)",
        "market_type é {market}, e nada de {same} está gravado no período reproduzido; escolha "
        "{others}, ou inicie com replay.start e replay.end que contenham tal gravação "
        "(gridlab data list as mostra)",
    ),
    (
        "market_type is {market}; this engine has an account on {others} only "
        "(exchange.supported_markets)",
        "market_type é {market}; esta sessão só tem conta em {others} (exchange.supported_markets)",
    ),
    (
        "the {market} venue is {state} ({reason}); try again when it is ready",
        "a corretora de {market} está em {state} ({reason}); tente de novo quando estiver pronta",
    ),
    (
        "the price of {symbol} on {market} is {age} s old, and a grid starts at one of at most "
        "{limit} s; try again when the market's stream is back",
        "o preço de {symbol} em {market} tem {age} s, e um grid começa com um de no máximo {limit} "
        "s; tente de novo quando o fluxo de mercado voltar",
    ),
    (
        "of each {quantity} {base} bought, {percent} % cannot be sold at once, because the fee is "
        "taken in {same} and the lot size is {lot}; it is carried to a later sale. Invest more or "
        "use fewer levels to make it small",
        "de cada {quantity} {base} comprado, {percent} % não pode ser vendido de imediato, porque "
        "a taxa é cobrada em {same} e o lote é {lot}; fica para uma venda posterior. Invista mais "
        "ou use menos níveis para reduzi-lo",
    ),
    (
        "{free} is free and one round of every grid costs about {needed} in fees; top it up, or "
        "the venue takes its fees from what each trade brings",
        "há {free} livre e um ciclo de todos os níveis custa cerca de {needed} em taxas; reponha, "
        "ou a corretora cobrará as taxas do que cada negócio trouxer",
    ),
    (
        "with every buy filled the average price is {average}, and at leverage {leverage} an "
        "isolated position is liquidated at {price} or before, above the lowest line {lowest}; use "
        "a leverage of at most {most}, raise the lowest line or use crossed margin with more in "
        "the wallet",
        "com todas as compras executadas o preço médio é {average}, e com alavancagem {leverage} "
        "uma posição isolada é liquidada em {price} ou antes, acima da linha mais baixa {lowest}; "
        "use alavancagem de no máximo {most}, suba a linha mais baixa ou use margem cruzada com "
        "mais na carteira",
    ),
    (
        "the fee mode is {mode} and futures fees are taken in {quote}; choose {choice}",
        "o modo de taxa é {mode} e as taxas de futuros são cobradas em {quote}; escolha {choice}",
    ),
    (
        "at leverage {leverage} an isolated position is liquidated at most {away} % from its entry "
        "and the liquidation buffer is {buffer} %, so nothing more would be bought after the first "
        "purchase; use a leverage below {below} or a smaller buffer",
        "com alavancagem {leverage} uma posição isolada é liquidada a no máximo {away} % da "
        "entrada e a reserva de liquidação é {buffer} %, então nada mais seria comprado após a "
        "primeira compra; use alavancagem abaixo de {below} ou uma reserva menor",
    ),
    (
        "{words}; close all positions and orders, switch the position mode to one-way at the "
        "exchange, and start again",
        "{words}; feche todas as posições e ordens, mude o modo de posição para unidirecional na "
        "corretora e inicie de novo",
    ),
    (
        "the kill switch is pulled ({reason}); release it with POST /api/revive before a grid can "
        "start",
        "a chave de emergência está acionada ({reason}); libere-a com POST /api/revive para que um "
        "grid possa iniciar",
    ),
    (
        "{mode} cannot be entered from here: this process was started by {command}; stop it and "
        "run {other}",
        "{mode} não pode ser ativado aqui: este processo foi iniciado por {command}; pare-o e "
        "execute {other}",
    ),
    (
        "{count} bots have orders in {mode} ({symbols}); stop them before you leave it, for nobody "
        "would watch them",
        "{count} bots têm ordens em {mode} ({symbols}); pare-os antes de sair, pois ninguém os "
        "acompanharia",
    ),
    (
        "the mode is already changing to {mode}; try again when it has",
        "o modo já está mudando para {mode}; tente de novo quando terminar",
    ),
    (
        "{waiting} jobs wait and no more than {limit} may; cancel some or wait for them",
        "{waiting} tarefas esperam e não podem ser mais de {limit}; cancele algumas ou aguarde",
    ),
    (
        "period is {period}; {name} takes a whole number of bars from {least} to {most}, {default} "
        "when left out",
        "period é {period}; {name} aceita um número inteiro de candles de {least} a {most}, "
        "{default} quando omitido",
    ),
    (
        "there is no indicator {name}; known are {known}",
        "não existe o indicador {name}; conhecidos são {known}",
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
        "the bot on {symbol} is halted ({reason}); stop it with the policy keep, and sell what is "
        "left by hand",
        "o bot em {symbol} está travado ({reason}); pare-o com a política keep e venda à mão o que "
        "sobrar",
    ),
    (
        "no bot has run on {symbol}; start one with POST /api/grid/start",
        "nenhum bot foi executado em {symbol}; inicie um com POST /api/grid/start",
    ),
    (
        "{symbol} has no price yet on {market}: its recording begins at {begin} and it is {now}",
        "{symbol} ainda não tem preço em {market}: sua gravação começa em {begin} e agora é {now}",
    ),
    (
        "this engine has no {market} market (exchange.supported_markets)",
        "esta sessão não tem o mercado {market} (exchange.supported_markets)",
    ),
    ("this engine has no {market} market", "esta sessão não tem o mercado {market}"),
    (
        "{market} was not looked over within {limit} s; try again later, what has come by then is "
        "kept",
        "{market} não pôde ser examinado em {limit} s; tente mais tarde, o que chegar até lá fica "
        "guardado",
    ),
    (
        "the exchange has banned this address until {until}; nothing is sent before",
        "a corretora bloqueou este endereço até {until}; nada é enviado antes",
    ),
    (
        "the exchange has banned this address until {until}; nothing is sent",
        "a corretora bloqueou este endereço até {until}; nada é enviado",
    ),
    (
        "{symbol} is not listed on the paper venue; it has {listed}",
        "{symbol} não está listado na corretora simulada; ela tem {listed}",
    ),
    (
        "{symbol} is not listed on {market} at {address}",
        "{symbol} não está listado em {market} em {address}",
    ),
    ("{symbol} is not listed on {market}", "{symbol} não está listado em {market}"),
    (
        "no market data within {limit} s; try again later",
        "nenhum dado de mercado em {limit} s; tente mais tarde",
    ),
    (
        "the market is not open; try again when the engine is ready",
        "o mercado não está aberto; tente de novo quando o motor estiver pronto",
    ),
    (
        "not sent: orders are held back until {until}: {why}",
        "não enviada: as ordens ficam retidas até {until}: {why}",
    ),
    (
        "orders are held back until {until}: {why}",
        "as ordens ficam retidas até {until}: {why}",
    ),
)


def sentences(*pairs: tuple[str, str]) -> Sentences:
    """A table of (English, Portuguese) with the same `{placeholders}`, tried in order."""
    return tuple((Sentence(english), portuguese) for english, portuguese in pairs)


def said_by(table: Sentences, text: str) -> tuple[str, dict[str, str]] | None:
    """The Portuguese sentence for `text` and the values to fill it; None where it is not known."""
    for sentence, template in table:
        values = sentence.values(text)
        if values is not None:
            return template, values
    return None


_ENGINE: Final = sentences(
    *_SENTENCES,
    *translation_bots.SENTENCES,
    *translation_venues.SENTENCES,
    *translation_models.SENTENCES,
    *translation_faults.SENTENCES,
    *translation_models.LAST,
    *translation_venues.LAST,
)
#: A code, an exception's name or a request before what is said of it.
_NAMED: Final = re.compile(r"(\w+|[A-Z]+ /\S+): (.+)", re.DOTALL)


def translate(text: str, language: str) -> str:
    """`text` in `language` as far as its sentences are known, else as it is."""
    if language != PORTUGUESE or len(text) > LONGEST:
        return text
    return _portuguese(text, DEEPEST)


@lru_cache(maxsize=4096)
def _portuguese(text: str, depth: int) -> str:
    """`text` in Portuguese, with at most `depth` sentences in one another or in a row."""
    if not depth:
        return text

    def told(part: str) -> str:
        return _portuguese(part, depth - 1)

    if found := said_by(_ENGINE, text):
        template, values = found
        return template.format(
            **{name: told(value) if name in NESTED else value for name, value in values.items()}
        )
    if named := _NAMED.fullmatch(text):
        return f"{named[1]}: {told(named[2])}"
    # Several in a row; one of them may hold a semicolon itself.
    joints = [joint.span() for joint in itertools.islice(re.finditer("; ", text), depth)]
    for end, begin in joints:
        if said_by(_ENGINE, text[:end]):
            return f"{told(text[:end])}; {told(text[begin:])}"
    if not joints:
        return text
    end, begin = joints[0]
    return f"{text[:end]}; {told(text[begin:])}"
