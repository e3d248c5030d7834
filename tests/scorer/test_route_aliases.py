"""Routes under other paths."""

import asyncio
from typing import Any

import pytest

from driftline.scorer.route_aliases import RouteAliases
from driftline.store.errors import ConfigurationError


def test_an_alias_leads_to_its_route_and_every_other_path_stays() -> None:
    seen: list[tuple[str, bytes]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["path"], scope["raw_path"]))

    aliased = RouteAliases.parse("/score=/invocations, /=/ping").over(app)
    scopes = [{"type": "http", "path": path, "raw_path": path.encode()} for path in ("/score", "/", "/ping", "/scores")]
    for scope in scopes:
        asyncio.run(aliased(scope, None, None))  # type: ignore[arg-type]
    assert seen == [
        ("/invocations", b"/invocations"),
        ("/ping", b"/ping"),
        ("/ping", b"/ping"),
        ("/scores", b"/scores"),
    ]
    assert scopes[0]["path"] == "/score", "the server logs what was asked for"


def test_without_aliases_there_is_nothing_in_between() -> None:
    assert RouteAliases.parse("").over(print) is print  # type: ignore[arg-type, comparison-overlap]


@pytest.mark.parametrize("text", ["/score", "score=/invocations", "/score=invocations"])
def test_what_is_no_pair_of_paths_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="pairs of paths"):
        RouteAliases.parse(text)
