"""The environment's names of the sources' keys; values are read where they are used."""

from __future__ import annotations

from typing import Final

#: Of a script application on Reddit.
REDDIT_CLIENT_ID: Final = "REDDIT_CLIENT_ID"
REDDIT_CLIENT_SECRET: Final = "REDDIT_CLIENT_SECRET"
#: A bearer token of X's API.
X_BEARER_TOKEN: Final = "X_BEARER_TOKEN"
#: Those whose values are struck out wherever they turn up.
SECRET: Final = (REDDIT_CLIENT_SECRET, X_BEARER_TOKEN)
