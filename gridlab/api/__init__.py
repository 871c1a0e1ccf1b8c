"""The HTTP face of a `GridLab`: a Flask blueprint, an application and a server of our own.

The API reads the engine's snapshot and posts the same verbs as a notebook would; it decides
nothing.
"""

from __future__ import annotations

from gridlab.api.app import Server, create_app
from gridlab.api.blueprint import create_blueprint

__all__ = ["Server", "create_app", "create_blueprint"]
