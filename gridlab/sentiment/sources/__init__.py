"""Where texts come from: Reddit, Binance's announcements, X; each with its pace and its stamps."""
