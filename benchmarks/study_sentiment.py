"""Does sentiment help? Texts with stamps, judged by the shipped model, against recorded candles.

    python benchmarks/study_sentiment.py --klines spot-1h.parquet --symbol BTCUSDT \\
        --texts reddit.csv.gz:created_utc:text --texts news.csv.gz:published:title

Each `--texts` names a CSV file, its column of times (seconds of UTC, or an ISO time) and its column
of texts. Those times are the publishers' own, which proves nothing about when a text could be read;
what `gridlab up` archives carries the stamps of reading, and `--archive FOLDER` studies that.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pandas as pd

from gridlab.data.bars import Bars
from gridlab.domain.market import Interval, Market
from gridlab.domain.spec import GridSpec
from gridlab.research.ablation import DAY_MS, mood_ablation
from gridlab.research.events import Event, event_study
from gridlab.sentiment import create_sentiment_analyzer
from gridlab.sentiment.archive import Archive

#: A text that was published then could be read a little later; nobody reads in no time.
READ_AFTER_MS = 60_000


def hourly(path: Path, symbol: str) -> Bars:
    """One symbol's hours of a table of several."""
    table = pd.read_parquet(path)
    if "symbol" in table:
        table = table[table["symbol"] == symbol]
    table = table.sort_values("open_time").drop_duplicates("open_time")
    return Bars.from_frame(table, symbol=symbol, market=Market.SPOT, interval=Interval.H1)


def read_texts(named: str) -> list[tuple[int, str]]:
    """(milliseconds, text) of `FILE:TIME_COLUMN:TEXT_COLUMN`."""
    path, time_column, text_column = named.rsplit(":", 2)
    table = pd.read_csv(path).dropna(subset=[time_column, text_column])
    times = table[time_column]
    if pd.api.types.is_numeric_dtype(times):
        stamps = (times * 1000).astype("int64")
    else:
        stamps = pd.to_datetime(times, utc=True).astype("datetime64[ms, UTC]").astype("int64")
    return list(zip(stamps.tolist(), table[text_column].astype(str), strict=True))


def events_of(options: argparse.Namespace, bars: Bars) -> Iterator[tuple[str, list[Event]]]:
    """(what they are, the events) of each set that was named."""
    judge = create_sentiment_analyzer("onnx")
    first_ms, end_ms = int(bars.open_time_ms[0]), bars.end_ms
    for named in options.texts:
        rows = [row for row in read_texts(named) if first_ms <= row[0] < end_ms]
        results = judge.analyze_batch([text for _, text in rows])
        yield (
            Path(named.rsplit(":", 2)[0]).name,
            [
                Event(time_ms + READ_AFTER_MS, result.raw_score)
                for (time_ms, _), result in zip(rows, results, strict=True)
                if result.crypto_relevant or options.all_texts
            ],
        )
    if options.archive is not None:
        judged = Archive(options.archive).read(first_ms, end_ms)
        yield "archive", [Event(one.judged_ms, one.score) for one in judged]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klines", type=Path, required=True)
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--texts", action="append", default=[])
    parser.add_argument("--archive", type=Path, default=None)
    parser.add_argument("--all-texts", action="store_true", help="also those not about crypto")
    parser.add_argument("--spacing", default="0.01", help="of the ablation's grid (0.01)")
    options = parser.parse_args()
    bars = hourly(options.klines, options.symbol)
    spec = GridSpec(
        options.symbol, 20, spacing=Decimal(options.spacing), investment=Decimal(10_000)
    )
    everything: list[Event] = []
    for name, events in events_of(options, bars):
        print(f"\n== {name}: {len(events)} texts on {options.symbol}")
        print(event_study(events, bars, stamps="Event times are the publishers' own, plus 60 s."))
        everything += events
    print(f"\n== a grid with and without the mood of all {len(everything)} texts, day by day")
    if everything:
        first_ms = min(event.time_ms for event in everything) // DAY_MS * DAY_MS
        last_ms = max(event.time_ms for event in everything)
        print(mood_ablation(spec, bars.slice(first_ms, last_ms), everything))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
