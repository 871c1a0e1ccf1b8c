"""The engine over HTTP: the facade's verbs for notebooks and dashboards in other processes."""

from gridlab.client.http import DEFAULT_URL, Client

__all__ = ["DEFAULT_URL", "Client"]
