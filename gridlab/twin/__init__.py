"""A local server that speaks Binance's REST and WebSocket protocol over recorded prices."""
