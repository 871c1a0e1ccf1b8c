"""Portuguese for contradictions: answers that break the protocol, books that do not agree.

A table for `translation`. The first make a request fail, the second halt a bot, whose reason they
then are.
"""

from __future__ import annotations

from typing import Final

_ANSWERS: Final = (
    ("it did not answer in time", "não respondeu a tempo"),
    ("its answer is longer than {limit} MiB", "sua resposta é maior que {limit} MiB"),
    ("{field} is not in it", "{field} não está nela"),
    ("an object was expected, not {found}", "era esperado um objeto, não {found}"),
    ("a list was expected, not {found}", "era esperada uma lista, não {found}"),
    ("{field} is {value}, not a whole number", "{field} é {value}, que não é um número inteiro"),
    ("{field} is {value}, not a text", "{field} é {value}, que não é um texto"),
    ("{field} is empty", "{field} está vazio"),
    (
        "{field} is {value}, neither true nor false",
        "{field} é {value}, nem verdadeiro nem falso",
    ),
    ("{field} is {value}, neither BUY nor SELL", "{field} é {value}, nem BUY nem SELL"),
    ("marginType is {value}", "marginType é {value}"),
    ("no rule {field}", "não há a regra {field}"),
    (
        "status is {value}, which is no documented one",
        "status é {value}, que não está documentado",
    ),
    (
        "price is {value}; a halted symbol may be told as zero",
        "price é {value}; um símbolo suspenso pode vir como zero",
    ),
    (
        "a candle has 12 parts, here are {count}",
        "um candle tem 12 partes, aqui há {count}",
    ),
    ("candle {later} follows {earlier}", "o candle {later} vem depois de {earlier}"),
)
_ORDERS: Final = (
    ("{event} came before the grid was started", "{event} chegou antes do início do grid"),
    ("run {run} was started twice", "a execução {run} foi iniciada duas vezes"),
    (
        "trade {trade} belongs to order {order}, which the venue had {state}; the grid halts",
        "o negócio {trade} é da ordem {order}, que a corretora tinha como {state}; o grid trava",
    ),
    (
        "an event names order {order}; run {run} never made it",
        "um evento cita a ordem {order}; a execução {run} nunca a criou",
    ),
    (
        "a position on {symbol} was told to a grid on {own} ({market})",
        "uma posição em {symbol} foi informada a um grid em {own} ({market})",
    ),
    (
        "order {order} is {state} and was told to {signal}; the venue contradicts itself, so the "
        "grid halts and keeps its journal",
        "a ordem {order} está em {state} e recebeu {signal}; a corretora se contradiz, então o "
        "grid trava e guarda seu diário",
    ),
    (
        "order {order} ended with {first} executed, and later with {then}",
        "a ordem {order} terminou com {first} executado, e depois com {then}",
    ),
    (
        "order {order} of {quantity} has trades of {traded} and {limit} executed; no order trades "
        "more than it asks",
        "a ordem {order} de {quantity} tem negócios de {traded} e {limit} executado; nenhuma ordem "
        "negocia mais do que pede",
    ),
)
_BOOKS: Final = (
    (
        "{asset} would have {free} free and {locked} locked; neither may go below zero",
        "{asset} ficaria com {free} livre e {locked} bloqueado; nenhum pode ficar abaixo de zero",
    ),
    (
        "{quantity} base units leave a slot that holds {held}",
        "{quantity} unidades base saem de um slot que tem {held}",
    ),
    (
        "the books do not close: {amount} {asset} is unexplained",
        "os registros não fecham: {amount} {asset} sem explicação",
    ),
    (
        "the grid holds {held} {base} by its lots and {traded} by its trades",
        "o grid tem {held} {base} pelos lotes e {traded} pelos negócios",
    ),
    *(
        (
            f"{component} {asset} is {{booked}} in the books and {{held}} in the lots",
            f"{nome} {ativo} é {{booked}} nos registros e {{held}} nos lotes",
        )
        for component, nome in (("inventory", "o estoque"), ("dust", "a sobra"))
        for asset, ativo in (("base", "em base"), ("cost", "a custo"))
    ),
    (
        "slot {slot} has no order and no reason",
        "o slot {slot} não tem ordem nem motivo",
    ),
    (
        "slot {slot} still holds settled order {order}",
        "o slot {slot} ainda tem a ordem encerrada {order}",
    ),
    (
        "slot {slot} holds order {order}, and gave one {latest} after it",
        "o slot {slot} tem a ordem {order}, e criou {latest} depois dela",
    ),
    *(
        (
            f"slot {{slot}} wants to {side} and holds a {other}",
            f"o slot {{slot}} quer {verbo} e tem uma {lado}",
        )
        for side, verbo in (("buy", "comprar"), ("sell", "vender"))
        for other, lado in (("buy", "compra"), ("sell", "venda"))
    ),
    *(
        (
            f"slot {{slot}} has a {side} at {{price}}, inside its own interval",
            f"o slot {{slot}} tem uma {lado} a {{price}}, dentro do próprio intervalo",
        )
        for side, lado in (("buy", "compra"), ("sell", "venda"))
    ),
    (
        "slot {slot} sells {quantity} and holds {held}",
        "o slot {slot} vende {quantity} e tem {held}",
    ),
    (
        "slot {slot}: {order} could turn the position, or cannot open it",
        "slot {slot}: {order} poderia inverter a posição, ou não consegue abri-la",
    ),
    *(
        (
            f"the window's {place} {side}s are {{held}} and not {{right}}",
            f"as {lado}s {lugar} da janela são {{held}} e não {{right}}",
        )
        for place, lugar in (
            ("chosen", "escolhidas"),
            ("outside", "de fora"),
        )
        for side, lado in (("buy", "compra"), ("sell", "venda"))
    ),
    (
        "the window's leaving slots {slots} are not those that leave",
        "os slots de saída da janela {slots} não são os que saem",
    ),
    (
        "the window's quotas {quotas} are above the cap of {cap}",
        "as cotas da janela {quotas} passam do limite de {cap}",
    ),
    (
        "{chosen} slots are chosen and {leaving} leave; the cap is {cap}, and {excess} above it "
        "were there before it was lowered",
        "{chosen} slots estão escolhidos e {leaving} saem; o limite é {cap}, e {excess} acima dele "
        "já estavam lá antes de ele baixar",
    ),
    (
        "slot {slot} is outside the window and holds {order}",
        "o slot {slot} está fora da janela e tem {order}",
    ),
    (
        "slot {slot} leaves the window and has no order to wait for",
        "o slot {slot} sai da janela e não tem ordem a esperar",
    ),
)

#: (English, Portuguese) with the same `{placeholders}`, tried in order.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (*_ANSWERS, *_ORDERS, *_BOOKS)
