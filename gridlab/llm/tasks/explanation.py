"""Explanation of one decision: why an order was placed, from what the journal holds of it.

A grid decides by rules, so the cause of an order is the event it was committed with; nothing is
guessed. The venue's own words are left out: they are a stranger's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from gridlab.domain.orders import INITIAL_BUY, ClientId, Side
from gridlab.llm.facts import Fact, Facts, Language, count, places_for, share
from gridlab.llm.writing import Brief

KIND: Final = "decision_explanation"


class Cause(StrEnum):
    """The event that the order was committed with."""

    START = "start"  # the grid was told to start
    STOCKED = "stocked"  # the purchase that stocks the sells was done
    TURNED = "turned"  # the slot's order on the other side was filled
    MADE_ROOM = "made_room"  # another slot's order was filled, and the window of orders moved
    RETRY = "retry"  # a cycle has passed, and a slot without an order was tried again
    LOST = "lost"  # the request before it provably never arrived
    STOP = "stop"  # the grid was told to stop and sells what it holds
    OTHER = "other"  # another change, such as the venue's rules or an order that it ended


class Fate(StrEnum):
    """What became of the order, as far as the journal knows."""

    SENT = "sent"  # no answer is in the journal
    OPEN = "open"
    FILLED = "filled"
    ENDED = "ended"  # cancelled or expired
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # it left, and no query has told its state yet
    ABSENT = "absent"  # it provably never arrived


@dataclass(frozen=True, slots=True)
class Decision:
    """One order and why it was placed.

    Args:
        price: None for an order at the market.
        lower, upper: the slot's two lines; None for the purchase and the sale of the whole grid.
        round_profit: quote units that one round of the slot earns after both fees; None likewise.
        cause_price, cause_quantity: of the fill that caused it, where a fill did.
        executed: base units that were traded of it.
        fills: how many trades that took.
    """

    symbol: str
    base: str
    quote: str
    client_id: str
    side: Side
    price: Decimal | None
    quantity: Decimal
    time_ms: int
    cause: Cause
    fate: Fate
    levels: int
    lower: Decimal | None = None
    upper: Decimal | None = None
    round_profit: Decimal | None = None
    cause_price: Decimal | None = None
    cause_quantity: Decimal | None = None
    executed: Decimal = Decimal(0)
    fills: int = 0

    @property
    def is_slot(self) -> bool:
        """Whether it belongs to one slot, not to the start or the end of the grid."""
        parsed = ClientId.parse(self.client_id)
        return parsed is not None and parsed.slot >= 0

    @property
    def is_initial(self) -> bool:
        parsed = ClientId.parse(self.client_id)
        return parsed is not None and parsed.slot == INITIAL_BUY

    def facts(self) -> Facts:
        """What a text about it may tell."""
        base_places = max(2, -self.quantity.normalize().as_tuple().exponent)  # type: ignore[operator]
        items = [
            Fact("quantity", self.quantity, self.base, base_places),
            Fact("executed", self.executed, self.base, base_places),
            count("fills", self.fills),
            count("levels", self.levels),
        ]
        for key in ("price", "lower", "upper", "cause_price"):
            if (value := getattr(self, key)) is not None:
                items.append(Fact(key, value, self.quote, places_for(value)))
        if self.cause_quantity is not None:
            items.append(Fact("cause_quantity", self.cause_quantity, self.base, base_places))
        if self.round_profit is not None:
            items.append(Fact("round_profit", self.round_profit, self.quote, 4))
        if (parsed := ClientId.parse(self.client_id)) is not None and self.is_slot:
            items += [count("slot", parsed.slot), count("cycle", parsed.cycle)]
            items.append(count("attempt", parsed.attempt))
        if self.lower is not None and self.upper is not None:
            items.append(share("spacing", self.upper / self.lower - 1, 3))
        return Facts(tuple(items), (self.symbol, self.client_id), (self.time_ms,))


def brief_for(decision: Decision, language: Language) -> Brief:
    """Why this order was placed."""
    return Brief(
        kind=KIND,
        facts=decision.facts(),
        language=language,
        instruction=(
            f"Explain to somebody who learns about grid trading why the {decision.side} order "
            f"{decision.client_id} was placed. {_CAUSES['en'][decision.cause]} Say what became of "
            "it, and what can go wrong with such an order."
        ),
        template=_template(decision, language),
        labels={
            "side": (decision.side, tuple(Side)),
            "fate": (decision.fate, tuple(Fate)),
        },
        kept={"cause": decision.cause, "fate": decision.fate},
    )


_CAUSES: Final[dict[Language, dict[Cause, str]]] = {
    "en": {
        Cause.START: "The grid was started, and this order belongs to its start.",
        Cause.STOCKED: "The initial purchase was done, so the grid placed its ladder of orders.",
        Cause.TURNED: "The slot's order on the other side was filled, so the slot turned round.",
        Cause.MADE_ROOM: (
            "Another order was filled, so the orders nearest the price moved on with it."
        ),
        Cause.RETRY: "The slot had no order, and at the next cycle it was tried again.",
        Cause.LOST: "The request before it provably never arrived, so it was sent anew.",
        Cause.STOP: "The grid was told to stop and to sell what it holds.",
        Cause.OTHER: "The venue changed something about the symbol or ended an order of the grid.",
    },
    "pt": {
        Cause.START: "O grid foi iniciado, e esta ordem pertence ao início.",
        Cause.STOCKED: "A compra inicial terminou, e o grid colocou sua escada de ordens.",
        Cause.TURNED: "A ordem do outro lado do slot foi executada, e o slot inverteu o lado.",
        Cause.MADE_ROOM: (
            "Outra ordem foi executada, e as ordens mais próximas do preço avançaram com ele."
        ),
        Cause.RETRY: "O slot estava sem ordem, e no ciclo seguinte foi tentado de novo.",
        Cause.LOST: "O pedido anterior comprovadamente não chegou, e foi enviado de novo.",
        Cause.STOP: "O grid recebeu o comando de parar e de vender o que possui.",
        Cause.OTHER: "A corretora mudou algo no símbolo ou encerrou uma ordem do grid.",
    },
}
_FATES: Final[dict[Language, dict[Fate, str]]] = {
    "en": {
        Fate.SENT: "The journal holds no answer of the venue to it.",
        Fate.OPEN: "It rests in the order book.",
        Fate.FILLED: "It was filled.",
        Fate.ENDED: "It ended before it was filled.",
        Fate.REJECTED: "The venue refused it.",
        Fate.UNKNOWN: "Its fate is not known yet and is being asked for.",
        Fate.ABSENT: "It provably never arrived at the venue.",
    },
    "pt": {
        Fate.SENT: "O diário não tem resposta da corretora para ela.",
        Fate.OPEN: "Ela está no livro de ofertas.",
        Fate.FILLED: "Ela foi executada.",
        Fate.ENDED: "Ela terminou antes de ser executada.",
        Fate.REJECTED: "A corretora a recusou.",
        Fate.UNKNOWN: "Seu destino ainda não é conhecido e está sendo consultado.",
        Fate.ABSENT: "Ela comprovadamente não chegou à corretora.",
    },
}


def _template(decision: Decision, language: Language) -> tuple[str, ...]:
    facts = decision.facts()
    is_english = language == "en"

    def said(key: str) -> str:
        return facts.said(key, language)

    verbs = {"en": ("buys", "sells"), "pt": ("compra", "vende")}[language]
    verb = verbs[0] if decision.side is Side.BUY else verbs[1]
    at = said("price") if decision.price is not None else ""
    where = (f" at {at}" if is_english else f" a {at}") if at else ""
    how = "" if at else (" at the market" if is_english else " a mercado")
    order = "The order" if is_english else "A ordem"
    sentences = [
        f"{order} {decision.client_id} {verb} {said('quantity')}{where}{how}.",
        _CAUSES[language][decision.cause],
    ]
    if decision.cause_price is not None and decision.cause_quantity is not None:
        sentences.append(
            f"That fill was of {said('cause_quantity')} at {said('cause_price')}."
            if is_english
            else f"Essa execução foi de {said('cause_quantity')} a {said('cause_price')}."
        )
    if decision.lower is not None:
        sentences.append(_slot_words(facts, language))
    if decision.is_initial:
        sentences.append(
            "It stocks the sells that rest above the price."
            if is_english
            else "Ela abastece as vendas que ficam acima do preço."
        )
    sentences.append(_FATES[language][decision.fate])
    if decision.executed:
        sentences.append(
            f"Traded of it: {said('executed')}."
            if is_english
            else f"Executado dela: {said('executed')}."
        )
    return tuple(sentences)


def _slot_words(facts: Facts, language: Language) -> str:
    """Where the slot buys and sells, and what a round of it earns."""
    lower, upper = facts.said("lower", language), facts.said("upper", language)
    slot = facts.said("slot", language)
    if language == "en":
        earns = (
            f"; one round earns {facts.said('round_profit', language)} after fees"
            if "round_profit" in facts
            else ""
        )
        return f"Slot {slot} buys at {lower} and sells at {upper}{earns}."
    earns = (
        f"; um ciclo rende {facts.said('round_profit', language)} após taxas"
        if "round_profit" in facts
        else ""
    )
    return f"O slot {slot} compra a {lower} e vende a {upper}{earns}."
