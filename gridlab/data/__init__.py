"""Recorded prices: bars in arrays, the bundled recordings, readers of Binance's files."""
