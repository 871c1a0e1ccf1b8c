"""Portuguese for why a bot, a slot or the engine is as it is; a table for `translation`.

Said by the grid, its agents and the engine. What a venue or its connection says is in
`translation_venues`.
"""

from __future__ import annotations

from typing import Final

#: What comes of a slot that lost its order.
_SLOTS: Final = (
    ("waiting for the initial purchase", "aguardando a compra inicial"),
    ("the grid could not start", "o grid não pôde iniciar"),
    ("the grid is idle", "o grid ainda não começou"),
    ("the grid is stocking", "o grid está fazendo a compra inicial"),
    ("the grid is running", "o grid está em execução"),
    ("the grid is stopping", "o grid está parando"),
    ("the grid is emptying", "o grid está vendendo o que tem"),
    ("the grid is stopped", "o grid está parado"),
    ("the grid is failed", "o grid falhou"),
    (
        "refused, {reason}; tried again at the next cycle",
        "recusada, {reason}; nova tentativa no próximo ciclo",
    ),
    (
        "{reason}; placed again at the next cycle",
        "{reason}; colocada de novo no próximo ciclo",
    ),
    ("bought less than can be sold", "comprou menos do que se pode vender"),
    (
        "vacant slots wait, the venue could not be read: {reason}",
        "os slots vagos esperam, pois não foi possível ler a corretora: {reason}",
    ),
    ("never reached the venue", "nunca chegou à corretora"),
    ("new by the venue", "aberta pela corretora"),
    ("partially_filled by the venue", "executada em parte pela corretora"),
    ("filled by the venue", "executada pela corretora"),
    ("canceled by the venue", "cancelada pela corretora"),
    ("expired by the venue", "expirada pela corretora"),
    ("forgotten by the venue", "esquecida pela corretora"),
    (
        "beyond the venue's cap of {limit} open orders; placed when the price comes nearer",
        "além do limite de {limit} ordens abertas da corretora; colocada quando o preço se "
        "aproximar",
    ),
    (
        "the venue takes more orders now; placed at the next cycle",
        "a corretora agora aceita mais ordens; colocada no próximo ciclo",
    ),
    (
        "liquidation at {price} is {distance} % from the mark price {mark} and the limit is "
        "{limit} %; nothing is bought until it is more than {release} % away, so add margin or let "
        "the sales shrink the position",
        "a liquidação em {price} está a {distance} % do preço de marcação {mark} e o limite é "
        "{limit} %; nada é comprado até que fique a mais de {release} %, então reforce a margem ou "
        "deixe as vendas reduzirem a posição",
    ),
    (
        "price {price} is not a multiple of the tick size {tick}",
        "o preço {price} não é múltiplo do tick {tick}",
    ),
    (
        "quantity {quantity} is not a multiple of the lot size {lot}",
        "a quantidade {quantity} não é múltipla do lote {lot}",
    ),
    (
        "order value {value} is below the venue's minimum {limit}; invest more or use fewer levels",
        "o valor da ordem {value} está abaixo do mínimo da corretora, {limit}; invista mais ou use "
        "menos níveis",
    ),
)
#: The beginning and the end of a bot, and what halts it.
_BOTS: Final = (
    ("the initial purchase waits: {reason}", "a compra inicial espera: {reason}"),
    ("the initial purchase was refused: {reason}", "a compra inicial foi recusada: {reason}"),
    (
        "the initial purchase is short of {missing}: {reason}",
        "faltam {missing} à compra inicial: {reason}",
    ),
    (
        "{why}; the final sale was refused: {reason}",
        "{why}; a venda final foi recusada: {reason}",
    ),
    ("stopped by the user", "parado pelo usuário"),
    ("kill switch", "chave de emergência"),
    ("kill switch: {reason}", "chave de emergência: {reason}"),
    ("no reason was given", "nenhum motivo foi informado"),
    (
        "not sent, as another was refused: {reason}",
        "não enviada, pois outra foi recusada: {reason}",
    ),
    (
        "its answer came while the bot was halted",
        "sua resposta chegou enquanto o bot estava travado",
    ),
    ("the bot stopped before it was sent", "o bot parou antes que ela fosse enviada"),
    (
        "still unknown when the process ended",
        "ainda sem resposta conhecida quando o processo terminou",
    ),
    (
        "the process ended before an answer was stored",
        "o processo terminou antes que uma resposta fosse gravada",
    ),
    (
        "{error} any more: {symbol} was removed there, or this account may not trade it. Look at "
        "the venue for what is left of its orders and holdings, and cancel and sell them by hand; "
        "should it be listed again, restart GridLab and the bot goes on",
        "{error}: {symbol} foi removido de lá, ou esta conta não pode negociá-lo. Veja na "
        "corretora o que resta de suas ordens e saldos, e cancele e venda à mão; se voltar a ser "
        "listado, reinicie o GridLab e o bot continua",
    ),
    (
        "{symbol} is not listed on {market} any more, so that Shadow has no prices of it; should "
        "it be listed again, restart GridLab and the bot goes on",
        "{symbol} não está mais listado em {market}, então Shadow não tem preços dele; se voltar a "
        "ser listado, reinicie o GridLab e o bot continua",
    ),
    (
        "the venue holds {quantity} of {symbol} and this grid's books hold {held}: the position "
        "was closed in part by the venue (liquidation) or by somebody else. Stop the grid "
        "with the policy keep and start a new one",
        "a corretora tem {quantity} de {symbol} e os registros deste grid têm {held}: a posição "
        "foi fechada em parte pela corretora (liquidação) ou por outra pessoa. Pare o grid com a "
        "política keep e inicie um novo",
    ),
    (
        "this engine has no account on {market}; start GridLab with one, or cancel the bot's "
        "orders at the venue",
        "esta sessão não tem conta em {market}; inicie o GridLab com uma, ou cancele as ordens do "
        "bot na corretora",
    ),
    (
        "leverage of {symbol} is {found} and {assumed} is assumed",
        "a alavancagem de {symbol} é {found} e supõe-se {assumed}",
    ),
    (
        "margin type of {symbol} is {found} and {assumed} is assumed",
        "o tipo de margem de {symbol} é {found} e supõe-se {assumed}",
    ),
    (
        "position mode of {symbol} is {found} and {assumed} is assumed",
        "o modo de posição de {symbol} é {found} e supõe-se {assumed}",
    ),
    (
        "{symbol} has {found} margin, {assumed} is assumed",
        "{symbol} tem margem {found}, supõe-se {assumed}",
    ),
    (
        "{symbol} has leverage {found}, {assumed} is assumed",
        "{symbol} tem alavancagem {found}, supõe-se {assumed}",
    ),
    (
        "the account is in hedge mode, one-way mode is assumed",
        "a conta está em modo hedge, supõe-se o modo unidirecional",
    ),
    (
        "the account is in hedge mode and holds {one} and {other} of {symbol}, one-way mode is "
        "assumed",
        "a conta está em modo hedge e tem {one} e {other} de {symbol}, supõe-se o modo "
        "unidirecional",
    ),
    (
        "the account is in hedge mode and holds {side} of {symbol}, one-way mode is assumed",
        "a conta está em modo hedge e tem {side} de {symbol}, supõe-se o modo unidirecional",
    ),
)
_ENGINE: Final = (
    ("stopped on request", "parado a pedido"),
    ("the recording has ended", "a gravação terminou"),
    ("entering {mode}", "entrando em {mode}"),
    (
        "the venue holds order {order}, which the journal does not know: the journal is older than "
        "the venue's books. {remedy}",
        "a corretora tem a ordem {order}, que o diário não conhece: o diário é mais antigo que os "
        "registros da corretora. {remedy}",
    ),
    (
        "Restore the newer journal, or begin anew with --fresh",
        "Restaure o diário mais novo, ou recomece com --fresh",
    ),
    (
        "Restore the newer journal, or cancel those orders at the exchange; if another GridLab "
        "trades on this account, stop it first",
        "Restaure o diário mais novo, ou cancele essas ordens na corretora; se outro GridLab opera "
        "nesta conta, pare-o antes",
    ),
    (
        "the engine is still recovering; try again when it is ready",
        "o motor ainda está se recuperando; tente de novo quando estiver pronto",
    ),
    (
        "the engine is stopped; make a new GridLab to start again",
        "o motor está parado; crie um novo GridLab para iniciar de novo",
    ),
    (
        "no order size for {symbol} passes the venue's rules at {price}",
        "nenhum tamanho de ordem para {symbol} passa nas regras da corretora a {price}",
    ),
    ("{symbol} is {status} at the venue", "{symbol} está {status} na corretora"),
    (
        "this machine stood still for {seconds} s",
        "esta máquina ficou parada por {seconds} s",
    ),
)
_TRENDS: Final = {"up": "alta", "down": "baixa", "sideways": "lateral", "unknown": "desconhecida"}
_ROUGHNESS: Final = {
    **{"low": "baixa", "normal": "normal", "high": "alta", "unknown": "desconhecida"},
}
_ADVICE: Final = (
    *(
        (
            f"caution {{caution}} of 3: trend {trend}, volatility {roughness}",
            f"cautela {{caution}} de 3: tendência {tendency}, volatilidade {volatility}",
        )
        for trend, tendency in _TRENDS.items()
        for roughness, volatility in _ROUGHNESS.items()
    ),
    (
        "the hours are rougher than the present spacing",
        "as horas oscilam mais que o espaçamento atual",
    ),
    ("the mood is {score} by {texts} texts", "o humor é {score} segundo {texts} textos"),
    (
        "{words}; the grid is laid with {value} of its size. Switch "
        "sentiment_analysis.risk_adjustment off to have it whole",
        "{words}; o grid é montado com {value} do seu tamanho. Desligue "
        "sentiment_analysis.risk_adjustment para tê-lo inteiro",
    ),
    (
        "{source} advises to invest {value} of what is asked for until {until}: {reason}",
        "{source} aconselha investir {value} do que se pede até {until}: {reason}",
    ),
    (
        "{source} advises against a new grid on {symbol} until {until}: {reason}",
        "{source} desaconselha um grid novo em {symbol} até {until}: {reason}",
    ),
    (
        "{source} advises a spacing {value} times as wide until {until}: {reason}",
        "{source} aconselha um espaçamento {value} vezes maior até {until}: {reason}",
    ),
    (
        "{source} advises {value} of the leverage until {until}: {reason}",
        "{source} aconselha {value} da alavancagem até {until}: {reason}",
    ),
)

#: (English, Portuguese) with the same `{placeholders}`, tried in order.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (*_SLOTS, *_BOTS, *_ENGINE, *_ADVICE)
