"""Every route of the API in one table, by the name of its endpoint.

The guard takes its scopes from here, the OpenAPI document its text and models, the answer cache the
routes that one step of the engine answers for everyone. A test walks the routes and fails for one
that is missing here; at run time such a route asks for the strongest scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from gridlab.api.catalogue import BASE_ROUTES, Route
from gridlab.api.more_catalogue import MORE_ROUTES
from gridlab.api.scopes import Scope

#: Routes that show or stop the whole installation and not one grid.
_FOR_ADMINS: Final = frozenset({"kill", "debug_performance"})


def _settled(name: str, route: Route) -> Route:
    return replace(route, scope=Scope.ADMIN) if name in _FOR_ADMINS else route


#: Endpoint name to its route.
ROUTES: Final[Mapping[str, Route]] = MappingProxyType(
    {name: _settled(name, route) for name, route in {**BASE_ROUTES, **MORE_ROUTES}.items()}
)


def scope_of(endpoint: str) -> Scope:
    """The scope that an endpoint asks for; the strongest for one that the table does not know."""
    route = ROUTES.get(endpoint)
    return Scope.ADMIN if route is None else route.scope
