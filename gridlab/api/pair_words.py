"""Portuguese for the reasons in the table of pair selection.

A reason names each filter that blocks, with what it says; what it says may end with the words of a
venue or of the data. Knows neither HTTP nor where the reasons come from.
"""

from __future__ import annotations

import re
from typing import Final

from gridlab.api.messages import PORTUGUESE
from gridlab.api.translation import said_by, sentences, translate

#: Before each filter of a reason but the first; a filter's own words may hold a semicolon too.
_NEXT_FILTER: Final = re.compile(r"; (?=(?:min|max)_\w+: |blacklist: )")
#: Values that are words of this table again.
_WORDS: Final = frozenset({"note", "why"})

_SENTENCES: Final = sentences(
    ("{filter}: {value} < {limit}: {short} too low", "{filter}: {value} < {limit}: faltam {short}"),
    (
        "{filter}: {value} > {limit}: {short} too high",
        "{filter}: {value} > {limit}: {short} a mais",
    ),
    ("{filter}: unknown: {note}", "{filter}: desconhecido: {note}"),
    ("{filter}: failed: {note}", "{filter}: reprovado: {note}"),
    ("not looked at: {why}", "não examinado: {why}"),
    ("rank {rank}, a preferred symbol", "posição {rank}, um símbolo preferido"),
    ("rank {rank}", "posição {rank}"),
    ("passes, but is chosen on {market} already", "aprovado, mas já escolhido em {market}"),
    (
        "passes at rank {rank}, and only {count} are wanted",
        "aprovado na posição {rank}, e só {count} são desejados",
    ),
    ("{filters} failed before", "reprovado antes em {filters}"),
    (
        "{count} symbols of more volume were",
        "{count} símbolos de maior volume foram examinados antes",
    ),
    ("no answer within {limit} s", "nenhuma resposta em {limit} s"),
    (
        "{least} closed hours up to now are needed and {found} are there",
        "são necessárias {least} horas fechadas até agora e há {found}",
    ),
    (
        "its volume is in {quote}, and no rate to the dollar is known",
        "seu volume está em {quote}, e nenhuma taxa para o dólar é conhecida",
    ),
    ("no quote volume was recorded", "nenhum volume de cotação foi gravado"),
    ("the 24 h window covers {hours} h", "a janela de 24 h cobre {hours} h"),
    ("it is in {quote}, which is no dollar", "está em {quote}, que não é dólar"),
    (
        "the best bid is {bid} and the best ask {ask}",
        "a melhor compra é {bid} e a melhor venda {ask}",
    ),
    (
        "at least {least}; the {limit} levels read end within 1 % of the middle",
        "no mínimo {least}; os {limit} níveis lidos terminam a menos de 1 % do meio",
    ),
    ("there is no score", "não há pontuação"),
    ("it is no new pair", "não é um par novo"),
    ("{symbol} is on the blacklist", "{symbol} está na lista negra"),
    ("{fact} is not known", "{fact} não é conhecido"),
)


def translate_reason(text: str, language: str) -> str:
    """A row's reason or a filter's note in `language`, as far as its words are known."""
    if language != PORTUGUESE:
        return text
    return "; ".join(map(_translated, _NEXT_FILTER.split(text)))


def _translated(text: str) -> str:
    found = said_by(_SENTENCES, text)
    if found is None:
        return translate(text, PORTUGUESE)
    template, values = found
    return template.format(
        **{name: _translated(v) if name in _WORDS else v for name, v in values.items()}
    )
