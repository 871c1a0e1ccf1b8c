"""Every sentence that the API says, in English and in Portuguese.

A message has a stable key; `say` fills it in. The Portuguese texts of the grid validation are the
documented ones where the API's document quotes them. Knows neither Flask nor a grid.
"""

from __future__ import annotations

from typing import Final

from gridlab.api.messages_tools import TOOL_TEXTS

ENGLISH: Final = "en"
PORTUGUESE: Final = "pt"
LANGUAGES: Final = (ENGLISH, PORTUGUESE)

#: key -> (English, Portuguese); placeholders are filled by `say`.
_TEXTS: Final[dict[str, tuple[str, str]]] = {
    # fields of a body or a query
    "field_missing": ("{field} is required", "{field} é obrigatório"),
    "field_unknown": (
        "{field} is not a known field; the fields here are: {known}",
        "{field} não é um campo conhecido; os campos aqui são: {known}",
    ),
    "field_misspelt": (
        "{field} is not a known field; did you mean {nearest}?",
        "{field} não é um campo conhecido; você quis dizer {nearest}?",
    ),
    "not_object": (
        "{field} must be a JSON object",
        "{field} deve ser um objeto JSON",
    ),
    "not_text": ("{field} must be a text", "{field} deve ser um texto"),
    "not_choice": (
        "{field} must be one of: {choices}",
        "{field} deve ser um destes: {choices}",
    ),
    "levels_not_positive": (
        "initial_levels must be a positive integer",
        "initial_levels deve ser um número inteiro positivo",
    ),
    "levels_too_few": (
        "initial_levels must be at least 2: one grid has no neighbour to trade with",
        "initial_levels deve ser pelo menos 2: um único nível não tem vizinho com que negociar",
    ),
    "at_most": (
        "{field} must be less than or equal to {limit}",
        "{field} deve ser menor ou igual a {limit}",
    ),
    "at_least": (
        "{field} must be greater than or equal to {limit}",
        "{field} deve ser maior ou igual a {limit}",
    ),
    "not_number": (
        "{field} must be a number (without quotes)",
        "{field} deve ser um número (sem aspas)",
    ),
    "not_finite": (
        "{field} must be a finite number, not NaN or Infinity",
        "{field} deve ser um número finito, não NaN nem Infinity",
    ),
    "not_positive": (
        "{field} must be a positive number",
        "{field} deve ser um número positivo",
    ),
    "too_many_digits": (
        "{field} must have at most {limit} digits",
        "{field} deve ter no máximo {limit} dígitos",
    ),
    "not_whole_between": (
        "{field} must be a whole number from {low} to {high}",
        "{field} deve ser um número inteiro de {low} a {high}",
    ),
    "not_an_order_cursor": (
        "{field} must be the next_cursor of an earlier page, or 0 to begin",
        "{field} deve ser o next_cursor de uma página anterior, ou 0 para começar",
    ),
    "given_twice": (
        "{field} is given more than once",
        "{field} foi informado mais de uma vez",
    ),
    "bound_alone": (
        "{field} is required when {other} is given",
        "{field} é obrigatório quando {other} é informado",
    ),
    "bounds_crossed": (
        "lower_price must be less than upper_price",
        "lower_price deve ser menor que upper_price",
    ),
    "spacing_and_bounds": (
        "give either spacing_perc or lower_price and upper_price, not both",
        "informe spacing_perc ou lower_price e upper_price, não ambos",
    ),
    "quantity_and_investment": (
        "give either quantity or investment, not both",
        "informe quantity ou investment, não ambos",
    ),
    # symbols
    "symbol_shape": (
        "{field} must be a symbol such as BTCUSDT: 1 to 20 letters and digits",
        "{field} deve ser um símbolo como BTCUSDT: de 1 a 20 letras e dígitos",
    ),
    "symbol_unknown": (
        "symbol {symbol} is not traded on {market} here; known symbols: {known}",
        "o símbolo {symbol} não é negociado em {market} aqui; símbolos conhecidos: {known}",
    ),
    "market_empty": (
        "there is no {market} market in this mode; use market_type spot",
        "não há mercado {market} neste modo; use market_type spot",
    ),
    # bodies
    "body_invalid": (
        "The request has {count} problems",
        "A requisição tem {count} problemas",
    ),
    "body_not_json_type": (
        "Content-Type must be application/json",
        "Content-Type deve ser application/json",
    ),
    "body_empty": (
        "The body is empty; send a JSON object",
        "O corpo está vazio; envie um objeto JSON",
    ),
    "body_not_utf8": ("The body is not UTF-8 text", "O corpo não é um texto UTF-8"),
    "body_not_json": (
        "The body is not valid JSON (line {line}, column {column})",
        "O corpo não é um JSON válido (linha {line}, coluna {column})",
    ),
    "body_too_deep": (
        "The body is nested too deeply",
        "O corpo tem aninhamento profundo demais",
    ),
    "body_too_large": (
        "The body is larger than {limit} bytes",
        "O corpo é maior que {limit} bytes",
    ),
    # grid
    "config_valid": ("Configuration is valid", "Configuração válida"),
    "config_invalid": ("Configuration is not valid", "Configuração inválida"),
    "grid_started": ("Grid started on {symbol}", "Grid iniciado em {symbol}"),
    "grid_stopped": (
        "Grid stopped on {symbol}; its open orders are cancelled",
        "Grid parado em {symbol}; suas ordens abertas foram canceladas",
    ),
    "grid_stopping": (
        "Grid is stopping on {symbol}; not all of its orders have ended yet",
        "Grid parando em {symbol}; nem todas as suas ordens terminaram ainda",
    ),
    "bot_running": (
        "A bot already runs on {symbol}",
        "Já existe um bot em execução em {symbol}",
    ),
    "bot_running_hint": (
        "Stop it first with POST /api/grid/stop, or look at GET /api/grid/status/{symbol}",
        "Pare-o antes com POST /api/grid/stop, ou veja GET /api/grid/status/{symbol}",
    ),
    "bot_none": ("No bot ever ran on {symbol}", "Nenhum bot foi executado em {symbol}"),
    "bot_none_hint": (
        "Start one with POST /api/grid/start",
        "Inicie um com POST /api/grid/start",
    ),
    "bot_already_stopped": (
        "The bot on {symbol} is already stopped",
        "O bot em {symbol} já está parado",
    ),
    "recovered": (
        "The grid was rebuilt from {events} journal entries; {orders} orders were compared with "
        "the venue, {fills} fills were found, {resent} orders were delivered",
        "O grid foi reconstruído a partir de {events} entradas do diário; {orders} ordens foram "
        "comparadas com a corretora, {fills} execuções foram encontradas, {resent} ordens enviadas",
    ),
    "not_recovered": (
        "This grid was started by the process that runs now; nothing had to be recovered",
        "Este grid foi iniciado pelo processo atual; nada precisou ser recuperado",
    ),
    # modes
    "mode_replay": (
        "Recorded real prices are played back; orders are matched inside this process",
        "Preços reais gravados são reproduzidos; as ordens são executadas dentro deste processo",
    ),
    "mode_shadow": (
        "Real market data, simulated orders",
        "Modo sombra - dados reais do mercado, sem executar trades",
    ),
    "mode_testnet": ("Orders go to Binance's testnet", "As ordens vão para a testnet da Binance"),
    "mode_production": (
        "Real mode - executes real trades on Binance",
        "Modo real - executa trades reais na Binance",
    ),
    "mode_unchanged": ("The mode is already {mode}", "O modo já é {mode}"),
    "mode_changed": ("The mode is now {mode}", "O modo agora é {mode}"),
    "mode_unavailable": (
        "The mode {mode} cannot be entered from {current} by an API call",
        "O modo {mode} não pode ser ativado a partir de {current} por uma chamada da API",
    ),
    "mode_needs_start": (
        "{mode} is entered by another start: gridlab up",
        "{mode} é ativado em outro início: gridlab up",
    ),
    "mode_needs_network": (
        "{mode} needs a connection to Binance, and another start: gridlab up --shadow",
        "{mode} precisa de uma conexão com a Binance e de outro início: gridlab up --shadow",
    ),
    "mode_needs_testnet_keys": (
        "{mode} needs BINANCE_TESTNET_API_KEY and BINANCE_TESTNET_API_SECRET, and another start: "
        "gridlab up --testnet",
        "{mode} precisa de BINANCE_TESTNET_API_KEY e BINANCE_TESTNET_API_SECRET e de outro início: "
        "gridlab up --testnet",
    ),
    "mode_needs_keys": (
        "{mode} needs BINANCE_API_KEY and BINANCE_API_SECRET, a clean pre-flight, a typed "
        "confirmation, and another start: gridlab up --production",
        "{mode} precisa de BINANCE_API_KEY e BINANCE_API_SECRET, de uma verificação sem falhas, de "
        "uma confirmação digitada e de outro início: gridlab up --production",
    ),
    # accounts
    "no_futures_account": (
        "There is no futures account in {mode} mode",
        "Não há conta de futuros no modo {mode}",
    ),
    "no_spot_account": ("There is no spot account yet", "Ainda não há conta spot"),
    "assets_unpriced": (
        "No USDT price for: {assets}; they are not in the total",
        "Sem preço em USDT para: {assets}; não estão no total",
    ),
    # HTTP
    "http_400": ("The request cannot be understood", "A requisição não pôde ser entendida"),
    "http_403": ("This is not allowed", "Isto não é permitido"),
    "http_404": ("There is nothing at {path}", "Não há nada em {path}"),
    "http_404_hint": (
        "The endpoints are listed at /api/docs",
        "Os endpoints estão listados em /api/docs",
    ),
    "http_405": (
        "{method} is not allowed at {path}; allowed: {allowed}",
        "{method} não é permitido em {path}; permitido: {allowed}",
    ),
    "http_other": ("The request was refused ({status})", "A requisição foi recusada ({status})"),
    "internal": (
        "Something broke inside GridLab; the log has the details under this request_id",
        "Algo quebrou dentro do GridLab; o log tem os detalhes sob este request_id",
    ),
    "engine_silent": (
        "The engine did not answer in time; the request may still take effect",
        "O motor não respondeu a tempo; a requisição ainda pode ter efeito",
    ),
    "engine_hint": (
        "Look at GET /api/trading/executions before sending it again",
        "Veja GET /api/trading/executions antes de enviá-la de novo",
    ),
    "storage": (
        "The books on disk cannot be used: {reason}",
        "Os registros em disco não podem ser usados: {reason}",
    ),
    "venue_unavailable": (
        "The venue did not answer: {reason}",
        "A corretora não respondeu: {reason}",
    ),
    "host_missing": ("The Host header is missing", "O cabeçalho Host está ausente"),
    "host_not_allowed": (
        "The Host {host} is not served here",
        "O Host {host} não é atendido aqui",
    ),
    "host_hint": (
        "Use a loopback address such as http://127.0.0.1, or an SSH tunnel",
        "Use um endereço de loopback como http://127.0.0.1, ou um túnel SSH",
    ),
    "origin_not_allowed": (
        "Pages from {origin} may not change anything here",
        "Páginas de {origin} não podem alterar nada aqui",
    ),
    "origin_hint": (
        "The browser's origin must be this API's own ({own}), a loopback one, or stand in "
        "api_server.allowed_origins of the configuration exactly as scheme://host:port",
        "A origem do navegador deve ser a da própria API ({own}), uma de loopback, ou constar em "
        "api_server.allowed_origins na configuração exatamente como esquema://host:porta",
    ),
    # tokens
    "token_needed": (
        "This needs a valid token in the header Authorization: Bearer ...",
        "Isto precisa de um token válido no cabeçalho Authorization: Bearer ...",
    ),
    "token_hint": (
        "The tokens are in api-token.json in the data directory of the machine that runs GridLab",
        "Os tokens estão em api-token.json no diretório de dados da máquina que executa o GridLab",
    ),
    "scope_too_small": (
        "This token may not do that",
        "Este token não permite isto",
    ),
    # repeated requests
    "idempotency_shape": (
        "Idempotency-Key must be 1 to 128 visible ASCII characters",
        "Idempotency-Key deve ter de 1 a 128 caracteres ASCII visíveis",
    ),
    "idempotency_other": (
        "This Idempotency-Key was used for another request; use a new key for a new request",
        "Esta Idempotency-Key foi usada em outra requisição; use uma chave nova para uma nova "
        "requisição",
    ),
    "idempotency_running": (
        "The first request with this Idempotency-Key is still being answered",
        "A primeira requisição com esta Idempotency-Key ainda está sendo respondida",
    ),
    "idempotency_running_hint": (
        "Send the same request again in a few seconds",
        "Envie a mesma requisição de novo em alguns segundos",
    ),
    "idempotency_full": (
        "Too many requests with an Idempotency-Key are being answered at once",
        "Há requisições demais com Idempotency-Key sendo respondidas ao mesmo tempo",
    ),
    # size and number
    "answer_too_large": (
        "The answer would have {size} bytes; the limit is {limit}",
        "A resposta teria {size} bytes; o limite é {limit}",
    ),
    "answer_too_large_hint": (
        "Ask for less: a smaller limit, one symbol, or page by page with the cursor",
        "Peça menos: um limit menor, um só símbolo, ou página a página com o cursor",
    ),
    "topics_unknown": (
        "topics must be a comma-separated list of: {choices}",
        "topics deve ser uma lista, separada por vírgulas, de: {choices}",
    ),
    "streams_full": (
        "All {limit} streams are in use",
        "Todos os {limit} fluxos estão em uso",
    ),
    "streams_full_hint": (
        "Close one, or poll GET /api/status instead",
        "Feche um, ou consulte GET /api/status periodicamente",
    ),
    # the words of the engine, passed on
    "as_told": ("{reason}", "{reason}"),
    **TOOL_TEXTS,
}


def say(key: str, language: str = ENGLISH, **values: object) -> str:
    """The sentence `key` in `language`, with its placeholders filled."""
    english, portuguese = _TEXTS[key]
    template = portuguese if language == PORTUGUESE else english
    return template.format(**values)
