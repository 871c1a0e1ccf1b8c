"""Portuguese for what venues and their connections say in our words; a table for `translation`.

Ours are the simulated venue's refusals, a stream's state and why a request had no answer. What a
real venue writes in its own words stands as it was written.
"""

from __future__ import annotations

from typing import Final

_STREAMS: Final = (
    ("market prices: {reason}", "preços de mercado: {reason}"),
    ("not opened yet", "ainda não aberto"),
    ("not connected yet", "ainda não conectado"),
    ("first connection", "primeira conexão"),
    ("closed by us", "fechado por nós"),
    ("messages come again", "as mensagens voltaram"),
    ("no message for {seconds} s", "nenhuma mensagem há {seconds} s"),
    ("no answer to a ping for {seconds} s", "nenhuma resposta a um ping há {seconds} s"),
    ("the connection ended: {error}", "a conexão terminou: {error}"),
    (
        "a message could not be used ({error})",
        "uma mensagem não pôde ser aproveitada ({error})",
    ),
    ("the connection was {minutes} min old", "a conexão tinha {minutes} min"),
    ("the venue's server shuts down", "o servidor da corretora está sendo desligado"),
    ("the venue ended the user stream", "a corretora encerrou o fluxo do usuário"),
    ("the listenKey expired", "a listenKey expirou"),
    (
        "the venue does not know the listenKey any more",
        "a corretora não conhece mais a listenKey",
    ),
    ("the account's settings were changed", "as configurações da conta foram alteradas"),
    ("the venue calls for margin", "a corretora pede reforço de margem"),
    (
        "the venue refuses every request until {until}",
        "a corretora recusa toda requisição até {until}",
    ),
    *(
        (
            f"no event of {kind} {{name}}{more} within {{seconds}} s of its answer",
            f"nenhum evento {tipo} {{name}}{mais} em {{seconds}} s após a resposta",
        )
        for kind, tipo in (
            ("order", "da ordem"),
            ("end of order", "do fim da ordem"),
            ("trade", "do negócio"),
        )
        for more, mais in ((" and {count} more", " e de mais {count}"), ("", ""))
    ),
    ("spot is {state} ({reason})", "spot está em {state} ({reason})"),
    ("futures is {state} ({reason})", "futures está em {state} ({reason})"),
    ("not ready within {seconds} s: {words}", "não ficou pronto em {seconds} s: {words}"),
    (
        "{symbol}: trades from id {first} are not to be had yet",
        "{symbol}: os negócios a partir do id {first} ainda não estão disponíveis",
    ),
)
_CONNECTIONS: Final = (
    (
        "the exchange banned this address: it wants silence until {until}, in {left} s; nothing is "
        "sent before, try again then",
        "a corretora bloqueou este endereço: ela quer silêncio até {until}, em {left} s; nada é "
        "enviado antes, tente de novo depois",
    ),
    (
        "the exchange asked for silence until {until}, in {left} s; nothing is sent before, try "
        "again then",
        "a corretora pediu silêncio até {until}, em {left} s; nada é enviado antes, tente de novo "
        "depois",
    ),
    ("no connection is asked for: {reason}", "nenhuma conexão é pedida: {reason}"),
    (
        "no connection to {address}: the venue answers {status}",
        "sem conexão com {address}: a corretora responde {status}",
    ),
    ("no connection to {address}: {error}", "sem conexão com {address}: {error}"),
    (
        "the {market} market stream did not confirm: {error}",
        "o fluxo de mercado de {market} não confirmou: {error}",
    ),
    (
        "the {market} market stream refused: {error}",
        "o fluxo de mercado de {market} recusou: {error}",
    ),
    ("too late", "tarde demais"),
    (
        "the spot user stream was refused: {error}; if it stays so, look into the key's "
        "permissions and its list of addresses",
        "o fluxo do usuário de spot foi recusado: {error}; se continuar assim, veja as permissões "
        "da chave e sua lista de endereços",
    ),
    (
        "no answer to the spot user stream's subscription: {error}",
        "nenhuma resposta à assinatura do fluxo do usuário de spot: {error}",
    ),
    ("the listenKey was not kept: {reason}", "a listenKey não foi mantida: {reason}"),
    ("no listenKey: {reason}", "nenhuma listenKey: {reason}"),
    (
        "the exchange's clock is {offset} ms ahead of ours, give or take {error_ms} ms: its "
        "answers take {took} ms; nothing signed is sent above {limit} ms, mend the connection",
        "o relógio da corretora está {offset} ms à frente do nosso, com erro de {error_ms} ms: "
        "suas respostas levam {took} ms; nada assinado é enviado acima de {limit} ms, corrija a "
        "conexão",
    ),
    (
        "the exchange tells a trade of order {order} on {symbol} and does not know the order yet; "
        "nothing was changed, ask again",
        "a corretora informa um negócio da ordem {order} em {symbol} e ainda não conhece a ordem; "
        "nada foi alterado, pergunte de novo",
    ),
    ("none within {seconds} s", "nenhuma em {seconds} s"),
    ("the connection failed ({name})", "a conexão falhou ({name})"),
    (
        "it answered {status} with something that is no JSON",
        "respondeu {status} com algo que não é JSON",
    ),
    ("it answered {status}, too many requests", "respondeu {status}, requisições demais"),
    ("it answered {reason}", "respondeu {reason}"),
    ("its answer is no JSON", "sua resposta não é JSON"),
    (
        "{address} gave no answer to {asked}: {reason}, {count} times; nothing was changed, try "
        "again later",
        "{address} não respondeu a {asked}: {reason}, {count} vezes; nada foi alterado, tente de "
        "novo mais tarde",
    ),
    (
        "{name}: {reason}; nothing was changed, try again later",
        "{name}: {reason}; nada foi alterado, tente de novo mais tarde",
    ),
    ("{name}: {reason}; nothing was changed", "{name}: {reason}; nada foi alterado"),
    ("{name} gave no answer: {reason}", "{name} não respondeu: {reason}"),
    (
        "{address} answered {answer} when asked for its time; check the base URL",
        "{address} respondeu {answer} quando se perguntou a hora; verifique a URL base",
    ),
    (
        "{address} answered with candles of {symbol} {interval} that were not asked for; check "
        "that the base URL is Binance's or a faithful copy",
        "{address} respondeu com candles de {symbol} {interval} que não foram pedidos; verifique "
        "se a URL base é a da Binance ou uma cópia fiel",
    ),
    (
        "{address} sent an impossible candle: {error}",
        "{address} enviou um candle impossível: {error}",
    ),
    (
        "the load of {key} was cancelled {count} times under its reader; ask again",
        "a carga de {key} foi cancelada {count} vezes durante a leitura; pergunte de novo",
    ),
    (
        "{name}: the venue did not answer; ask again later",
        "{name}: a corretora não respondeu; pergunte de novo mais tarde",
    ),
)
_ADDRESSES: Final = (
    ("recorded Binance klines", "klines gravados da Binance"),
    ("Binance market streams", "fluxos de mercado da Binance"),
    ("Binance testnet", "testnet da Binance"),
    (
        "a twin of Binance on this machine ({address})",
        "um gêmeo da Binance nesta máquina ({address})",
    ),
    (
        "{address} redirects {asked} elsewhere ({status}), which is not followed; set the base URL "
        "to the final address",
        "{address} redireciona {asked} para outro lugar ({status}), o que não é seguido; ajuste a "
        "URL base para o endereço final",
    ),
    (
        "{address} does not serve this location (451){reason}; another base URL may",
        "{address} não atende esta localidade (451){reason}; outra URL base pode atender",
    ),
    (
        "{address} refused {asked} with {reason}; check the base URL",
        "{address} recusou {asked} com {reason}; verifique a URL base",
    ),
    (
        "the answer of {where} cannot be used: {what}; nothing was taken from it, check the "
        "address or try again",
        "a resposta de {where} não pode ser aproveitada: {what}; nada foi usado dela, verifique o "
        "endereço ou tente de novo",
    ),
)
_ORDERS: Final = (
    ("not sent: {reason}", "não enviada: {reason}"),
    (
        "it was cancelled while it waited for its turn; it never left",
        "foi cancelada enquanto esperava a vez; nunca saiu",
    ),
    (
        "the account's quota of new orders is spent until {until}; it was not sent, try again then",
        "a cota de novas ordens da conta está esgotada até {until}; não foi enviada, tente de novo "
        "depois",
    ),
    ("{order} is being sent already", "{order} já está sendo enviada"),
    ("it was still waiting here and never left", "ainda esperava aqui e nunca saiu"),
    (
        "it was done, and its answer is unusable: {error}",
        "foi feita, e a resposta não pode ser aproveitada: {error}",
    ),
    ("the answer is about {order} on {symbol}", "a resposta é sobre {order} em {symbol}"),
    (
        "the venue knows no order {order} on {symbol}",
        "a corretora não conhece a ordem {order} em {symbol}",
    ),
    (
        "the margin type of {symbol} cannot be set to {wanted}",
        "o tipo de margem de {symbol} não pode ser mudado para {wanted}",
    ),
    (
        "the leverage of {symbol} cannot be set from {now} to {wanted}",
        "a alavancagem de {symbol} não pode ser mudada de {now} para {wanted}",
    ),
    (
        "close the symbol's position and orders, leave multi-assets mode, and start again",
        "feche a posição e as ordens do símbolo, saia do modo multiativos e inicie de novo",
    ),
    (
        "close the symbol's position, or configure a leverage that the venue allows",
        "feche a posição do símbolo, ou configure uma alavancagem que a corretora permita",
    ),
    (
        "{what}; set it at the exchange and start again",
        "{what}; ajuste na corretora e inicie de novo",
    ),
    ("{what}: {reason}; try again", "{what}: {reason}; tente de novo"),
)
_SIDES: Final = (("buy", "compra"), ("sell", "venda"))
_SIMULATED: Final = (
    ("Market is closed: {symbol} has status {status}", "Mercado fechado: {symbol} está {status}"),
    ("Market is closed: {symbol} has no price yet", "Mercado fechado: {symbol} ainda sem preço"),
    *(
        (
            f"Order would immediately match and take: {side} at {{price}} while the last price is "
            "{last}",
            f"A ordem seria executada de imediato: {lado} a {{price}} com o último preço em "
            "{last}",
        )
        for side, lado in _SIDES
    ),
    (
        "Duplicate order sent: {order} is open already",
        "Ordem duplicada: {order} já está aberta",
    ),
    (
        "Unknown order sent: {order} is not open on {symbol}",
        "Ordem desconhecida: {order} não está aberta em {symbol}",
    ),
    (
        "Account has insufficient balance for requested action: the order needs {needed} and "
        "{free} is free",
        "A conta não tem saldo suficiente: a ordem precisa de {needed} e há {free} livre",
    ),
    (
        "Margin is insufficient: the order needs {needed} at leverage {leverage} and {free} is "
        "available; pay in, or cancel orders",
        "Margem insuficiente: a ordem precisa de {needed} com alavancagem {leverage} e há {free} "
        "disponível; deposite, ou cancele ordens",
    ),
    *(
        (
            "ReduceOnly Order is rejected: the position on {symbol} is {quantity} and a "
            f"{side} reduces nothing of it",
            "Ordem ReduceOnly recusada: a posição em {symbol} é {quantity} e uma "
            f"{lado} não a reduz",
        )
        for side, lado in _SIDES
    ),
    (
        "ReduceOnly Order Failed. Please check your existing position and open orders: {open} of "
        "{held} is reduced by open orders already; cancel one first",
        "A ordem ReduceOnly falhou: {open} de {held} já é reduzido por ordens abertas; cancele uma "
        "antes",
    ),
    (
        "Order's position side does not match user's setting: {order} names no position side and "
        "the account is in hedge mode; switch to one-way mode",
        "O lado da posição não corresponde à conta: {order} não informa o lado e a conta está em "
        "modo hedge; mude para o modo unidirecional",
    ),
    (
        "Exceeded the maximum allowable position at current leverage: it could become {value} and "
        "{limit} is the limit",
        "Acima da posição máxima permitida com a alavancagem atual: poderia chegar a {value} e o "
        "limite é {limit}",
    ),
    (
        "{symbol} on {market} is not listed here; this venue trades {other}: {listed}",
        "{symbol} em {market} não está listado aqui; esta corretora negocia {other}: {listed}",
    ),
    (
        "quantity {quantity} must be above the {executed} that is executed; cancel the order "
        "instead",
        "a quantidade {quantity} deve ser maior que {executed}, já executada; cancele a ordem",
    ),
    (
        "Filter failure: {rule}: price {price} is not a multiple of the tick size {tick}; round it "
        "to the tick",
        "Filtro não atendido: {rule}: o preço {price} não é múltiplo do tick {tick}; arredonde-o "
        "ao tick",
    ),
    (
        "Filter failure: {rule}: quantity {quantity} is not a multiple of the lot size {lot}; "
        "round it down to the lot",
        "Filtro não atendido: {rule}: a quantidade {quantity} não é múltipla do lote {lot}; "
        "arredonde-a para baixo ao lote",
    ),
    (
        "Filter failure: {rule}: {count} orders are open on {symbol} and the limit is {limit}; "
        "cancel one first",
        "Filtro não atendido: {rule}: {count} ordens estão abertas em {symbol} e o limite é "
        "{limit}; cancele uma antes",
    ),
    *(
        (
            f"Filter failure: {{rule}}: {name} {{value}} is {place} the {bound} {{limit}}; "
            f"{act} it",
            f"Filtro não atendido: {{rule}}: {nome} {{value}} está {lugar} do {limite} {{limit}}; "
            f"{faça}",
        )
        for name, nome in (
            ("buy price", "preço de compra"),
            ("sell price", "preço de venda"),
            ("price x quantity", "preço x quantidade"),
            ("price", "preço"),
            ("quantity", "quantidade"),
        )
        for place, bound, act, lugar, limite, faça in (
            ("below", "minimum", "raise", "abaixo", "mínimo", "aumente"),
            ("above", "maximum", "lower", "acima", "máximo", "reduza"),
        )
    ),
    ("no answer within {limit} ms", "nenhuma resposta em {limit} ms"),
    (
        "Timestamp for this request is outside of the recvWindow: it took {took} ms and {limit} "
        "are allowed",
        "O horário da requisição está fora da recvWindow: levou {took} ms e são permitidos {limit}",
    ),
    (
        "the venue gave the request up unserved",
        "a corretora desistiu da requisição sem atendê-la",
    ),
)
#: Tried after everything else: it is told by its punctuation alone.
LAST: Final = (("{what} ({reason}); {remedy}", "{what} ({reason}); {remedy}"),)

#: (English, Portuguese) with the same `{placeholders}`, tried in order.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    *(*_STREAMS, *_CONNECTIONS, *_ADDRESSES, *_ORDERS, *_SIMULATED),
)
