"""Routes about prices: tickers and candles."""

from __future__ import annotations

from contextlib import suppress

from flask import Blueprint, Response

from gridlab.api.candles import CandleTexts
from gridlab.api.requests import KlinesQuery, MarketQuery
from gridlab.api.schemas import Candles, TickerShape
from gridlab.api.wire import (
    answer_list,
    find_instrument,
    read_query,
    read_symbol,
    stamp_of,
)
from gridlab.app.facade import GridLab
from gridlab.errors import NotFound


def add_routes(blueprint: Blueprint, lab: GridLab) -> None:
    """Put the market routes on `blueprint`."""
    texts = CandleTexts(lab)

    @blueprint.get("/api/market_data")
    def market_data() -> Response:
        market = read_query(MarketQuery).market_type
        found = lab.market_tickers(market)
        snapshot, tickers = lab.snapshot, []
        for ticker in found.value:
            with suppress(NotFound):  # the venue has removed it, and its window is still kept
                rules = lab.instrument(ticker.symbol, market)
                tickers.append(TickerShape.of(ticker, rules.tick_size, snapshot.mode))
        return answer_list(tickers, stamp_of(snapshot, found))

    @blueprint.get("/api/klines/<symbol>")
    def klines(symbol: str) -> Response:
        query = read_query(KlinesQuery)
        name = find_instrument(lab, read_symbol(symbol), query.market_type).symbol
        found = texts.array(name, query.interval, query.limit, query.market_type)
        frame = Candles(
            symbol=name,
            interval=query.interval,
            data=[],
            market_type=query.market_type,
            **stamp_of(lab.snapshot, found).parts,
        )
        body = frame.model_dump_json().replace('"data":[]', f'"data":{found.text}', 1)
        return Response(body, mimetype="application/json")
