"""Reports: daily, of one pair, of performance. Tables of facts, and a summary in words.

The tables and the points to look at are made here and are the same whoever writes the summary; a
model writes the summary alone. What they are shown as is `gridlab.llm.render`'s affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from gridlab.llm.facts import Fact, Facts, Language, age, count, moment_text, share
from gridlab.llm.render import Report, Table
from gridlab.llm.tasks.market import MarketFacts
from gridlab.llm.writing import Brief, Written, stale_warning


class ReportKind(StrEnum):
    DAILY = "daily"
    PAIR = "pair"
    PERFORMANCE = "performance"


@dataclass(frozen=True, slots=True)
class BotFacts:
    """One bot's books at the moment of the report; amounts in quote units.

    Args:
        fills: booked in the report's span; `rounds` is what the bot calls its trades in all.
        vacancies: slots without an order.
        is_inside: whether the price lies within the grid's lines.
        age_ms: how long ago that price, at which the books are valued, was known to be true; 0
            where nothing is held and nothing runs, so that no price matters.
        is_stale: whether that is longer than such a price may be old.
    """

    symbol: str
    quote: str
    status: str
    investment: Decimal
    total: Decimal
    grid_profit: Decimal
    floating: Decimal
    fees: Decimal
    fills: int
    open_orders: int
    vacancies: int
    is_inside: bool
    age_ms: int = 0
    is_stale: bool = False

    @property
    def fraction(self) -> Decimal:
        """The result over the investment."""
        return self.total / self.investment if self.investment else Decimal(0)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """All that a report tells.

    Args:
        mode: where orders go, such as `Replay`; shown in the title.
        time_ms: market time.
        hours: the span in which `BotFacts.fills` were counted.
        market: the pair's analysis; for a pair's report.
    """

    kind: ReportKind
    mode: str
    time_ms: int
    hours: int
    bots: tuple[BotFacts, ...]
    market: MarketFacts | None = None
    symbol: str = ""

    @property
    def quotes(self) -> tuple[str, ...]:
        return tuple(sorted({bot.quote for bot in self.bots}))

    @property
    def age_ms(self) -> int:
        """The age of the oldest price in it."""
        ages = [bot.age_ms for bot in self.bots]
        return max([*ages, 0 if self.market is None else self.market.age_ms], default=0)

    @property
    def is_stale(self) -> bool:
        """Whether a price in it is older than it may be."""
        about = self.market
        return any(bot.is_stale for bot in self.bots) or (about is not None and about.is_stale)

    def sum_of(self, name: str, quote: str) -> Decimal:
        """The sum of one amount over the bots of one quote asset."""
        amounts = (getattr(bot, name) for bot in self.bots if bot.quote == quote)
        return sum(amounts, Decimal(0))

    def facts(self) -> Facts:
        """What the summary may tell: sums over the bots, and each bot's result."""
        items = [
            count("bots", len(self.bots)),
            count("fills", sum(bot.fills for bot in self.bots)),
            count("open_orders", sum(bot.open_orders for bot in self.bots)),
            count("vacant_slots", sum(bot.vacancies for bot in self.bots)),
            count("out_of_range", sum(not bot.is_inside for bot in self.bots)),
            Fact("span", Decimal(self.hours), "h"),
            age(self.age_ms),
        ]
        for quote in self.quotes:
            for name in ("investment", "total", "grid_profit", "floating", "fees"):
                items.append(Fact(f"{name}_{quote}", self.sum_of(name, quote), quote, 2))
        for bot in self.bots:
            items.append(Fact(f"total_of_{bot.symbol}", bot.total, bot.quote, 2))
            items.append(share(f"return_of_{bot.symbol}", bot.fraction))
        names = tuple(dict.fromkeys((*(bot.symbol for bot in self.bots), *self._own_name())))
        facts = Facts(tuple(items), names, (self.time_ms,))
        if self.market is None:
            return facts
        more = self.market.facts()
        kept = tuple(fact for fact in more.items if fact.key not in facts)
        return Facts((*facts.items, *kept), tuple({*names, *more.names}), facts.moments)

    def _own_name(self) -> tuple[str, ...]:
        return (self.symbol,) if self.symbol else ()


def brief_for(report: ReportFacts, language: Language) -> Brief:
    """The summary of a report."""
    about = f" of {report.symbol}" if report.symbol else ""
    return Brief(
        kind=f"{report.kind}_report",
        facts=report.facts(),
        language=language,
        instruction=(
            f"Summarise this {report.kind} report{about} for the user: how the bots did, what "
            "stands out, and what to look at. The tables are shown beside your text."
        ),
        template=_summary(report, language),
        as_of_ms=report.time_ms - report.age_ms,
        warning=stale_warning(report.age_ms, language) if report.is_stale else "",
    )


def assemble(report: ReportFacts, summary: Written) -> Report:
    """The report with its tables and the points to look at."""
    language = summary.language
    title = _TITLES[language][report.kind]
    if report.symbol:
        title = f"{title}: {report.symbol}"
    return Report(
        kind=report.kind,
        language=language,
        title=f"{title} ({report.mode})",
        made=moment_text(report.time_ms),
        summary=summary,
        tables=tuple(_tables(report, language)),
        points=tuple(points_of(report, language)),
    )


def points_of(report: ReportFacts, language: Language) -> list[str]:
    """What a person should look at, by rule; each is one sentence without figures."""
    words = _POINTS[language]
    found = []
    for bot in report.bots:
        if bot.status == "running" and not bot.is_inside:
            found.append(words["outside"].format(symbol=bot.symbol))
        if bot.status == "running" and bot.vacancies:
            found.append(words["vacant"].format(symbol=bot.symbol))
        if bot.grid_profit and abs(bot.fees) > bot.grid_profit:
            found.append(words["fees"].format(symbol=bot.symbol))
        if bot.status == "error":
            found.append(words["error"].format(symbol=bot.symbol))
        if bot.is_stale:
            found.append(words["stale"].format(symbol=bot.symbol))
    if report.market is not None and report.market.caution:
        found.append(words["caution"].format(symbol=report.market.symbol))
    return found or [words["nothing"]]


_TITLES: Final[dict[Language, dict[ReportKind, str]]] = {
    "en": {
        ReportKind.DAILY: "Daily report",
        ReportKind.PAIR: "Pair report",
        ReportKind.PERFORMANCE: "Performance report",
    },
    "pt": {
        ReportKind.DAILY: "Relatório diário",
        ReportKind.PAIR: "Relatório do par",
        ReportKind.PERFORMANCE: "Relatório de desempenho",
    },
}
_POINTS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "outside": "{symbol}: the price has left the grid; it waits until the price comes back.",
        "vacant": "{symbol}: slots stand without an order; the grid's status says which rule.",
        "fees": "{symbol}: fees took more than the grid profit; consider a wider spacing.",
        "error": "{symbol}: the bot is halted; look at its reason and at the venue.",
        "stale": "{symbol}: its price is stale, so its result is not of now.",
        "caution": "{symbol}: the market is falling or rougher than usual; mind the exposure.",
        "nothing": "Nothing needs attention by the rules of this report.",
    },
    "pt": {
        "outside": "{symbol}: o preço saiu do grid; ele espera até o preço voltar.",
        "vacant": "{symbol}: há slots sem ordem; o estado do grid diz por qual regra.",
        "fees": "{symbol}: as taxas superam o lucro do grid; considere um espaçamento maior.",
        "error": "{symbol}: o bot está parado por erro; veja o motivo e a corretora.",
        "stale": "{symbol}: seu preço está desatualizado; o resultado não é de agora.",
        "caution": "{symbol}: o mercado cai ou está agitado; atenção à exposição.",
        "nothing": "Nada exige atenção pelas regras deste relatório.",
    },
}
#: A bot's states as texts tell them; in English by their names.
_STATES: Final[dict[Language, dict[str, str]]] = {
    "en": {},
    "pt": {
        "starting": "iniciando",
        "running": "em execução",
        "stopping": "parando",
        "stopped": "parado",
        "error": "erro",
    },
}
_HEADS: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        *("Pair", "Status", "Investment", "Result", "Return", "Grid profit", "Floating", "Fees"),
        *("Fills", "Open orders"),
    ),
    "pt": (
        *("Par", "Estado", "Investimento", "Resultado", "Retorno", "Lucro do grid", "Flutuante"),
        *("Taxas", "Execuções", "Ordens abertas"),
    ),
}


def _summary(report: ReportFacts, language: Language) -> tuple[str, ...]:
    facts = report.facts()

    def said(key: str) -> str:
        return facts.said(key, language)

    is_english = language == "en"
    if not report.bots:
        none = "There is no bot to report on." if is_english else "Não há bot para relatar."
        return (none, *_market_sentence(report, facts, language))
    sentences = [
        f"Bots: {said('bots')}; fills in {said('span')}: {said('fills')}; open orders: "
        f"{said('open_orders')}."
        if is_english
        else f"Bots: {said('bots')}; execuções em {said('span')}: {said('fills')}; ordens abertas: "
        f"{said('open_orders')}."
    ]
    for quote in report.quotes:
        total, invested = said(f"total_{quote}"), said(f"investment_{quote}")
        profit, fees = said(f"grid_profit_{quote}"), said(f"fees_{quote}")
        floating = said(f"floating_{quote}")
        sentences.append(
            f"The result is {total} on {invested} invested: grid profit {profit}, floating "
            f"{floating}, fees {fees}."
            if is_english
            else f"O resultado é {total} sobre {invested} investidos: lucro do grid {profit}, "
            f"flutuante {floating}, taxas {fees}."
        )
    return (*sentences, *_market_sentence(report, facts, language))


def _market_sentence(report: ReportFacts, facts: Facts, language: Language) -> tuple[str, ...]:
    if report.market is None:
        return ()
    price, change = facts.said("last_price", language), facts.said("change", language)
    window = facts.said("window", language)
    symbol = report.market.symbol
    if language == "en":
        return (f"{symbol} is at {price}, a change of {change} in {window}.",)
    return (f"{symbol} está em {price}, variação de {change} em {window}.",)


def _tables(report: ReportFacts, language: Language) -> list[Table]:
    rows = tuple(_row(bot, language) for bot in report.bots)
    return [Table("Bots", _HEADS[language], rows)] if rows else []


def _row(bot: BotFacts, language: Language) -> tuple[str, ...]:
    def amount(value: Decimal) -> str:
        return Fact("amount", value, bot.quote, 2).shown(language)

    return (
        bot.symbol,
        _STATES[language].get(bot.status, bot.status),
        *map(amount, (bot.investment, bot.total)),
        share("return", bot.fraction).shown(language),
        *map(amount, (bot.grid_profit, bot.floating, bot.fees)),
        str(bot.fills),
        str(bot.open_orders),
    )
