"""Portuguese for why a model or a source of texts is not used; a table for `translation`."""

from __future__ import annotations

from typing import Final

_OLLAMA: Final = (
    (
        "{address} is not on this machine and is not asked",
        "{address} não está nesta máquina e não é consultado",
    ),
    (
        "nothing answers at {address} ({name}); start Ollama with: ollama serve",
        "nada responde em {address} ({name}); inicie o Ollama com: ollama serve",
    ),
    (
        "nothing answers at {address}; start Ollama with: ollama serve",
        "nada responde em {address}; inicie o Ollama com: ollama serve",
    ),
    (
        "what answers at {address} is not Ollama; correct the address",
        "o que responde em {address} não é o Ollama; corrija o endereço",
    ),
    (
        "what answers at {address} does not speak as Ollama does ({name})",
        "o que responde em {address} não fala como o Ollama ({name})",
    ),
    (
        "what answers at {address} lists models without names",
        "o que responde em {address} lista modelos sem nome",
    ),
    (
        "{address} sends elsewhere, which is not followed",
        "{address} redireciona para outro lugar, o que não é seguido",
    ),
    (
        "Ollama at {address} has no model; add one with: {command}",
        "o Ollama em {address} não tem modelo; adicione um: {command}",
    ),
    (
        "Ollama at {address} has none of the configured models; add one with: {command}",
        "o Ollama em {address} não tem nenhum dos modelos configurados; adicione um: {command}",
    ),
    (
        "Ollama at {address} says: {said}; add it with: {command}",
        "o Ollama em {address} diz: {said}; adicione-o: {command}",
    ),
    (
        "Ollama has no gemma3 model; ollama pull gemma3:1b",
        "o Ollama não tem um modelo gemma3; ollama pull gemma3:1b",
    ),
    ("Ollama has no model {name}", "o Ollama não tem o modelo {name}"),
    ("Ollama at {address} says: {words}", "o Ollama em {address} diz: {words}"),
    (
        "no whole answer from {address} within {seconds} s; give more timeout_seconds or a smaller "
        "model",
        "nenhuma resposta completa de {address} em {seconds} s; aumente timeout_seconds ou use um "
        "modelo menor",
    ),
    ("{reason}; asked again in {seconds} s", "{reason}; nova consulta em {seconds} s"),
    ("there are no words", "não há palavras"),
    (
        "the configuration does not ask for a language model",
        "a configuração não pede um modelo de linguagem",
    ),
    ("no local model is configured", "nenhum modelo local está configurado"),
    ("{switch} is false in the configuration", "{switch} é false na configuração"),
)
_ANSWERS: Final = (
    ("{model} stopped in the middle of its answer", "{model} parou no meio da resposta"),
    (
        "{model} was cut at {count} tokens; give more max_tokens",
        "{model} foi cortado em {count} tokens; aumente max_tokens",
    ),
    ("{model} was asked and {other} answered", "{model} foi consultado e {other} respondeu"),
    (
        "{model} asks for a tool instead of answering; none is offered",
        "{model} pede uma ferramenta em vez de responder; nenhuma é oferecida",
    ),
    (
        "{model} writes links or markup, which was not asked for",
        "{model} escreve links ou marcação, o que não foi pedido",
    ),
    (
        "the text says {said}, which cannot be read as a given fact",
        "o texto diz {said}, que não pode ser lido como um fato dado",
    ),
    (
        "the text says {said}, which is none of the facts it was given",
        "o texto diz {said}, que não é nenhum dos fatos dados",
    ),
    ("the text has hidden characters", "o texto tem caracteres ocultos"),
    (
        "the text has {sign}, which is no plain digit",
        "o texto tem {sign}, que não é um dígito comum",
    ),
    (
        "the model's answer does not fit what was asked: {what}",
        "a resposta do modelo não corresponde ao que foi pedido: {what}",
    ),
    (
        "the model's answer is no JSON ({error}): {words}",
        "a resposta do modelo não é JSON ({error}): {words}",
    ),
    (
        "the model proposes a spacing of {spacing} %, less than {count} times the fees of a round",
        "o modelo propõe um espaçamento de {spacing} %, menos de {count} vezes as taxas de um "
        "ciclo",
    ),
    (
        "the model calls the text {label} and scores it {score}",
        "o modelo chama o texto de {label} e lhe dá {score}",
    ),
    (
        "the answer is compressed, which was not asked for",
        "a resposta está comprimida, o que não foi pedido",
    ),
    (
        "the answer is longer than {limit} bytes and was not read further",
        "a resposta é maior que {limit} bytes e não foi lida até o fim",
    ),
    ("the ONNX model failed: {error}", "o modelo ONNX falhou: {error}"),
    (
        "{model} answers with shape {shape}; ({rows}, {columns}) finite numbers are meant",
        "{model} responde com forma {shape}; esperam-se ({rows}, {columns}) números finitos",
    ),
    (
        "{reason} [{model}, because: {why}] [{other}, because: {error}]",
        "{reason} [{model}, porque: {why}] [{other}, porque: {error}]",
    ),
    ("{reason} [{model}, because: {why}]", "{reason} [{model}, porque: {why}]"),
)
_SOURCES: Final = (
    (
        "{one} and {other} are not set; make a script application on Reddit and put its id and "
        "secret into the environment",
        "faltam {one} e {other}; crie um aplicativo do tipo script no Reddit e ponha seu id e seu "
        "segredo no ambiente",
    ),
    (
        "{names} are not set; make a script application on Reddit and put its id and secret into "
        "the environment",
        "faltam {names}; crie um aplicativo do tipo script no Reddit e ponha seu id e seu segredo "
        "no ambiente",
    ),
    (
        "praw is not installed; {command}",
        "praw não está instalado; {command}",
    ),
    (
        "every include_ switch of {section} is false",
        "todas as chaves include_ de {section} são false",
    ),
    (
        "{name} is not set; put a bearer token into the environment",
        "falta {name}; ponha um bearer token no ambiente",
    ),
    ("it has not answered within {seconds} s", "não respondeu em {seconds} s"),
    ("it broke: {name}; the log tells more", "quebrou: {name}; o log diz mais"),
    (
        "{name} may be asked again at {time}: at most {count} requests in {seconds} s, and as long "
        "as it asked for silence",
        "{name} pode ser consultado de novo em {time}: no máximo {count} requisições em {seconds} "
        "s, e respeitado o silêncio que pediu",
    ),
    (
        "{name} cannot be reached: {error}; it is tried again at its next turn",
        "{name} não pode ser alcançado: {error}; nova tentativa na próxima vez",
    ),
    (
        "{name} did not answer usably: {error}; check {one} and {other}, or wait for its next turn",
        "{name} não respondeu de forma útil: {error}; verifique {one} e {other}, ou espere a "
        "próxima vez",
    ),
    (
        "{name} sent more than {limit} bytes; nothing was read of it",
        "{name} enviou mais de {limit} bytes; nada foi lido",
    ),
    (
        "{name} answered in another form ({code}); nothing was read of it",
        "{name} respondeu em outra forma ({code}); nada foi lido",
    ),
    (
        "{name} answered in another form; nothing was read of it",
        "{name} respondeu em outra forma; nada foi lido",
    ),
    (
        "{name} answered no JSON ({count} bytes beginning {what})",
        "{name} não respondeu com JSON ({count} bytes que começam com {what})",
    ),
    ("{name} answered {status} to {path}", "{name} respondeu {status} a {path}"),
    ("{name} is off: {reason}", "{name} está desligado: {reason}"),
)
_MOODS: Final = tuple(
    (
        f"sentiment of {asset} is {{score}}, {side} {{limit}}, by {{texts}} texts",
        f"o sentimento {ativo} é {{score}}, {lado} de {{limit}}, segundo {{texts}} textos",
    )
    for asset, ativo in (("the market", "do mercado"), ("{asset}", "de {asset}"))
    for side, lado in (("above", "acima"), ("below", "abaixo"))
)
_SHADOW_TEST: Final = (
    ("a recording", "uma gravação"),
    (
        "a recording is read from disk; there is no call to save",
        "uma gravação é lida do disco; não há chamada a poupar",
    ),
    ("nothing was read through the cache", "nada foi lido pelo cache"),
)
#: Where in a model's answer something is amiss.
_PLACES: Final = ("", ".{path}", "[{path}")
#: Tried after all other sentences, for they are told by little more than their punctuation.
LAST: Final = (
    *(
        (f"the answer{place} {english}", f"a resposta{place} {portuguese}")
        for place in _PLACES
        for english, portuguese in (
            ("has {name}, which was not asked for", "tem {name}, que não foi pedido"),
            ("lacks {name}", "não tem {name}"),
            ("is {found}, not one of {choices}", "é {found}, que não é um de {choices}"),
            (
                "has {count} of {unit}, not {least} to {most}",
                "tem {count} de {unit}, e não de {least} a {most}",
            ),
            ("is {found}, not {least} to {most}", "é {found}, e não de {least} a {most}"),
            ("is {found}, not {kind}", "é {found}, e não {kind}"),
        )
    ),
    (
        "{model} calls {name} {said}, and it is {value}",
        "{model} diz que {name} é {said}, e é {value}",
    ),
)

#: (English, Portuguese) with the same `{placeholders}`, tried in order.
SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    *(*_OLLAMA, *_ANSWERS, *_SOURCES, *_MOODS, *_SHADOW_TEST),
)
