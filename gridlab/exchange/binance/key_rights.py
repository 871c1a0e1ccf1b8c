"""`KeyRights`: what an API key may do, which is not what its account may.

An account's answer has `canTrade` and `canWithdraw` as well, and there they are the account's: one
that may withdraw is the normal case, whatever its key may do. Only the wallet service on the spot
host tells the rights of the key, for both markets; test networks have no such service.
"""

from __future__ import annotations

from dataclasses import dataclass

from gridlab.errors import ExchangeUnavailable
from gridlab.exchange.binance.fields import flag, record
from gridlab.exchange.binance.routes import KEY_RESTRICTIONS
from gridlab.exchange.binance.transport import SignedTransport


@dataclass(frozen=True, slots=True)
class KeyRights:
    """The rights that were given to one key."""

    may_trade_spot: bool
    may_trade_futures: bool
    may_withdraw: bool
    is_ip_restricted: bool

    def words(self) -> tuple[str, ...]:
        """The same for people."""
        found = [
            f"the key may {'' if self.may_trade_spot else 'NOT '}trade on spot",
            f"the key may {'' if self.may_trade_futures else 'NOT '}trade futures",
            "the key works from listed addresses only"
            if self.is_ip_restricted
            else "the key works from ANY address; restrict it to yours",
        ]
        if self.may_withdraw:
            found.append("the key may WITHDRAW; take that right away, nothing here needs it")
        return tuple(found)


async def key_rights(transport: SignedTransport) -> KeyRights | str:
    """The rights of the transport's key, or in words why they are not known."""
    if not transport.endpoints.is_production:
        return "a test network does not tell what the key may do"
    where = "apiRestrictions"
    try:
        key = record(await transport.ask(KEY_RESTRICTIONS, {}), where)
        return KeyRights(
            may_trade_spot=flag(key, "enableSpotAndMarginTrading", where),
            may_trade_futures=flag(key, "enableFutures", where),
            may_withdraw=flag(key, "enableWithdrawals", where),
            is_ip_restricted=flag(key, "ipRestrict", where),
        )
    except ExchangeUnavailable as error:
        return f"what the key itself may do could not be read ({error})"
