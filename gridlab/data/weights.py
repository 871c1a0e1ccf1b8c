"""What a public request takes from an address's allowance, in Binance's weight units.

Source: Binance's tables of request weights, spot and USD-M. Knows no HTTP and no budget.
"""

from __future__ import annotations

from gridlab.domain.market import Market

#: The rules of every symbol; USD-M sends them all, whichever is asked for.
EXCHANGE_INFO = {Market.SPOT: 20, Market.FUTURES: 1}
#: The 24 h window of one symbol.
TICKER = {Market.SPOT: 2, Market.FUTURES: 1}
#: The 24 h windows of a whole market.
ALL_TICKERS = {Market.SPOT: 80, Market.FUTURES: 40}
#: The best bid and ask of every symbol.
BEST_QUOTES = {Market.SPOT: 4, Market.FUTURES: 5}
#: 500 levels of each side of one symbol's book.
ORDER_BOOK = {Market.SPOT: 25, Market.FUTURES: 10}


def candles(market: Market, limit: int) -> int:
    """The weight of a page of at most `limit` candles, 1 to 1000.

    >>> candles(Market.SPOT, 1000), candles(Market.FUTURES, 400), candles(Market.FUTURES, 1000)
    (2, 2, 5)
    """
    if market is Market.SPOT:
        return 2
    return 1 if limit < 100 else 2 if limit < 500 else 5
