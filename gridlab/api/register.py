"""Every route of the API in one table, by the name of its endpoint.

The guard takes its scopes from here, the OpenAPI document its text and models, the answer cache the
routes that one step of the engine answers for everyone. A test walks the routes and fails for one
that is missing here; at run time such a route asks for the strongest scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gridlab.api.catalogue import BASE_ROUTES, Route
from gridlab.api.catalogue_tools import TOOL_ROUTES
from gridlab.api.scopes import Scope

#: Endpoint name to its route.
ROUTES: Final[Mapping[str, Route]] = MappingProxyType({**BASE_ROUTES, **TOOL_ROUTES})


def scope_of(endpoint: str) -> Scope:
    """The scope that an endpoint asks for; the strongest for one that the table does not know."""
    route = ROUTES.get(endpoint)
    return Scope.ADMIN if route is None else route.scope
