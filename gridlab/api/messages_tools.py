"""The sentences of models, checks, jobs, records and the kill switch, in both languages.

Same rules as `messages`, which says them: a stable key, English and Portuguese with the same
placeholders. A sentence about something that is missing names the remedy.
"""

from __future__ import annotations

from typing import Final

#: key -> (English, Portuguese).
TOOL_TEXTS: Final[dict[str, tuple[str, str]]] = {
    # fields of a body or a query
    "text_empty": ("{field} must not be empty", "{field} não pode ser vazio"),
    "text_too_long": (
        "{field} must have at most {limit} characters",
        "{field} deve ter no máximo {limit} caracteres",
    ),
    "text_control": (
        "{field} must not hold control characters",
        "{field} não pode conter caracteres de controle",
    ),
    "not_boolean": ("{field} must be true or false", "{field} deve ser true ou false"),
    "run_shape": (
        "{field} must be the id of a run: 1 to 64 letters, digits, - and _",
        "{field} deve ser o id de uma execução: de 1 a 64 letras, dígitos, - e _",
    ),
    "order_shape": (
        "{field} must be an order's id: 1 to 64 letters, digits, - and _",
        "{field} deve ser o id de uma ordem: de 1 a 64 letras, dígitos, - e _",
    ),
    "report_symbol": (
        "a pair report takes a symbol, and no other report does",
        "um relatório do tipo pair exige um símbolo, e nenhum outro relatório o aceita",
    ),
    "order_needs_run": (
        "{order} is a venue's order id; give the run or the symbol that it belongs to",
        "{order} é o id de uma ordem da corretora; informe a execução ou o símbolo a que pertence",
    ),
    "features_shape": (
        "{field} must be an object of 1 to {limit} numbers by name",
        "{field} deve ser um objeto de 1 a {limit} números por nome",
    ),
    "feature_name": (
        "every name in {field} must have 1 to {limit} letters, digits, dots, - and _",
        "cada nome em {field} deve ter de 1 a {limit} letras, dígitos, pontos, - e _",
    ),
    "feature_number": (
        "{name} in {field} must be a finite number from -1e15 to 1e15",
        "{name} em {field} deve ser um número finito de -1e15 a 1e15",
    ),
    "span_crossed": (
        "start_ms must be less than end_ms",
        "start_ms deve ser menor que end_ms",
    ),
    "backtest_spot_only": (
        "{field} must be spot: backtests trade a spot account",
        "{field} deve ser spot: backtests operam uma conta spot",
    ),
    # models
    "texts_off": (
        "sentiment_analysis.enabled is false in the configuration, so no source is read",
        "sentiment_analysis.enabled é false na configuração, então nenhuma fonte é lida",
    ),
    "texts_replay": (
        "Replay plays recorded prices, of which the texts of today say nothing; start in Shadow, "
        "Testnet or Production",
        "Replay reproduz preços gravados, sobre os quais os textos de hoje nada dizem; inicie em "
        "Shadow, Testnet ou Production",
    ),
    "rl_missing": (
        "No RL policy is in this version of GridLab; grids run by their rules alone until a "
        "version with one is installed",
        "Nenhuma política de RL está nesta versão do GridLab; os grids seguem só suas regras até "
        "que uma versão com uma seja instalada",
    ),
    "tabular_missing": (
        "No tabular model is in this version of GridLab; GET /api/indicators gives the features "
        "themselves until a version with one is installed",
        "Nenhum modelo tabular está nesta versão do GridLab; GET /api/indicators fornece os "
        "próprios atributos até que uma versão com um seja instalada",
    ),
    # checks
    "replay_no_connection": (
        "Replay opens no connection: prices come from recordings inside GridLab",
        "Replay não abre conexão: os preços vêm de gravações dentro do GridLab",
    ),
    "no_connection": (
        "This mode trades no such market, so its venue was not asked",
        "Este modo não opera esse mercado, então a corretora não foi consultada",
    ),
    "ollama_silent": (
        "Nothing answers at {base_url}; start Ollama with: ollama serve",
        "Nada responde em {base_url}; inicie o Ollama com: ollama serve",
    ),
    "ollama_strange": (
        "What answers at {base_url} is not Ollama; correct ai_agent.base_url in the configuration",
        "O que responde em {base_url} não é o Ollama; corrija ai_agent.base_url na configuração",
    ),
    "ollama_not_loopback": (
        "{base_url} is not on this machine and is not asked; set ai_agent.base_url in the "
        "configuration to a loopback address",
        "{base_url} não está nesta máquina e não é consultado; defina ai_agent.base_url na "
        "configuração com um endereço de loopback",
    ),
    "ollama_empty": (
        "Ollama runs without any model; add one with: ollama pull {model}",
        "O Ollama está em execução sem nenhum modelo; adicione um com: ollama pull {model}",
    ),
    "model_not_configured": (
        "The model is listed, and none of ai_agent.model_presets names it, so it was not asked",
        "O modelo está na lista, mas nenhum ai_agent.model_presets o cita; não foi consultado",
    ),
    "model_out_of_time": (
        "The other models took all the time of this check; ask again in half a minute",
        "Os outros modelos usaram todo o tempo deste teste; consulte de novo em meio minuto",
    ),
    "ai_models_busy": (
        "{waiting} requests wait for this check already",
        "{waiting} requisições já esperam por este teste",
    ),
    "shadow_collected": (
        "Shadow ran for {seconds} s and saw {states} market states, {complete} of them complete",
        "O Shadow rodou por {seconds} s e viu {states} estados de mercado, {complete} completos",
    ),
    "shadow_traded": (
        "{trades} simulated trades; no order left this process",
        "{trades} trades simulados; nenhuma ordem saiu deste processo",
    ),
    "shadow_no_trades": (
        "No simulated trade in {seconds} s; give more seconds to see some",
        "Nenhum trade simulado em {seconds} s; use mais segundos para ver alguns",
    ),
    "shadow_no_data": (
        "No market state was seen in {seconds} s; look at GET /api/health and GET /api/debug/logs",
        "Nenhum estado de mercado em {seconds} s; veja GET /api/health e GET /api/debug/logs",
    ),
    "shadow_incomplete": (
        "{missing} of {states} market states were incomplete; look at GET /api/debug/logs",
        "{missing} de {states} estados de mercado estavam incompletos; veja GET /api/debug/logs",
    ),
    "shadow_bad_prices": (
        "A price was missing or not above zero; do not trade on this data",
        "Um preço faltou ou não era maior que zero; não opere com estes dados",
    ),
    "shadow_indicators": (
        "Indicators could not be calculated: {reason}",
        "Os indicadores não puderam ser calculados: {reason}",
    ),
    "shadow_cache": (
        "The cache answered {percent} % of the reads and saved {saved} calls",
        "O cache respondeu {percent} % das leituras e poupou {saved} chamadas",
    ),
    "shadow_live": (
        "Live prices of {source}, paper orders; watch it for longer before any real order",
        "Preços ao vivo de {source}, ordens simuladas; observe por mais tempo antes de qualquer "
        "ordem real",
    ),
    "shadow_not_production": (
        "This was a recording: run in Shadow mode on live prices before any real order",
        "Isto foi uma gravação: use o modo Shadow com preços ao vivo antes de qualquer ordem real",
    ),
    "shadow_busy": (
        "A shadow test of {seconds} s runs already",
        "Um teste shadow de {seconds} s já está em execução",
    ),
    "shadow_busy_hint": (
        "Watch it at GET /api/jobs/{job}, or cancel it with DELETE",
        "Acompanhe em GET /api/jobs/{job}, ou cancele com DELETE",
    ),
    "shadow_cancelled": (
        "The shadow test was cancelled before its end",
        "O teste shadow foi cancelado antes do fim",
    ),
    # jobs
    "job_unknown": (
        "There is no job {job}; ended ones are forgotten after a while",
        "Não existe o job {job}; os terminados são esquecidos após um tempo",
    ),
    "job_hint": ("GET /api/jobs lists them", "GET /api/jobs lista todos"),
    "job_over": (
        "The job {job} is already {state}; there is nothing to cancel",
        "O job {job} já está {state}; não há o que cancelar",
    ),
    # debug
    "cache_cleared": (
        "The cache is empty; {entries} entries were dropped",
        "O cache está vazio; {entries} entradas foram descartadas",
    ),
    # metrics
    "agent_missing": (
        "This version of GridLab has no {agent}; nothing depends on it",
        "Esta versão do GridLab não tem {agent}; nada depende dele",
    ),
    "agent_off": (
        "{agent} is switched off; set {section}.enabled in the configuration to have it",
        "{agent} está desligado; defina {section}.enabled na configuração para tê-lo",
    ),
    "data_agent_not_needed": (
        "Replay plays recorded prices, which need no {agent}",
        "O Replay reproduz preços gravados, que não precisam de {agent}",
    ),
    "data_agent_waits": (
        "{agent} runs while the engine is ready, and the engine is {state}",
        "{agent} funciona enquanto o motor está pronto, e o motor está em {state}",
    ),
    # kill switch
    "killed": (
        "The kill switch is pulled; bots stopped: {count}; no grid can start",
        "A chave de emergência está acionada; bots parados: {count}; nenhum grid pode iniciar",
    ),
    "killed_pending": (
        "The kill switch is pulled; bots stopped: {count}; not all orders have ended on {symbols}; "
        "no grid can start",
        "A chave de emergência está acionada; bots parados: {count}; nem todas as ordens de "
        "{symbols} terminaram; nenhum grid pode iniciar",
    ),
    "killed_before_recovery": (
        "The kill switch is pulled; the engine is {state}, and its bots stop before they may send "
        "an order; orders that rest at the venue are cancelled when it has recovered",
        "A chave de emergência está acionada; o motor está em {state}, e os bots param antes de "
        "poder enviar uma ordem; as ordens abertas são canceladas quando ele se recuperar",
    ),
    "killed_already": (
        "The kill switch is pulled ({reason}); no grid can start",
        "A chave de emergência está acionada ({reason}); nenhum grid pode iniciar",
    ),
    "alive": (
        "The kill switch is not pulled; grids can start",
        "A chave de emergência não está acionada; grids podem iniciar",
    ),
    "revived": (
        "The kill switch is released; grids can start, stopped bots stay stopped",
        "A chave de emergência foi liberada; grids podem iniciar, os bots parados continuam "
        "parados",
    ),
}
