"""Further paths by which clients know the routes: what a platform asks for is not always called ``/invocations``."""

from typing import Self

from driftline.scorer.asgi_types import ASGIApp, Receive, Scope, Send
from driftline.store.errors import ConfigurationError


class RouteAliases:
    """Paths in place of others, such as ``/score=/invocations,/=/ping``; the paths of the routes stay too."""

    def __init__(self, route_of: dict[str, str]) -> None:
        self._route_of = route_of

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the aliases; an empty text has none.

        Raises:
            ConfigurationError: a part is not two paths.
        """
        route_of: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            alias, _, route = part.partition("=")
            if not (alias.startswith("/") and route.startswith("/")):
                raise ConfigurationError(
                    "aliases should be pairs of paths such as `/score=/invocations,/=/ping`: correct `--aliases`"
                )
            route_of[alias] = route
        return cls(route_of)

    def over(self, app: ASGIApp) -> ASGIApp:
        """Return ``app`` under its aliases too."""
        if not self._route_of:
            return app

        async def aliased(scope: Scope, receive: Receive, send: Send) -> None:
            route = self._route_of.get(scope.get("path", ""))
            if route is not None:  # the server, which holds the original, logs what the client asked for
                scope = {**scope, "path": route, "raw_path": route.encode()}
            await app(scope, receive, send)

        return aliased
