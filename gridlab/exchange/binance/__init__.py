"""Binance, spot and USD-M futures, behind the `Exchange` protocol; python-binance stays in here."""
