"""The scene that all pages but the tutorial share."""

from collections.abc import Iterator

import pytest
import servers
from doc_scene import set_up
from doc_shell import Scene, empty_scene, require_tools


@pytest.fixture(scope="session")
def scene(
    tmp_path_factory: pytest.TempPathFactory, postgresql_server: servers.PostgreSQL, postgresql_template: str
) -> Iterator[Scene]:
    """A folder as a reader has it who has served ``churn`` for a while."""
    require_tools()
    url = postgresql_server.create_database("documented", postgresql_template).replace("+psycopg", "")
    found = empty_scene(tmp_path_factory.mktemp("pages") / "scene", url)
    try:
        set_up(found)
        yield found
    finally:
        found.stop("scorer", "mlflow", "monitor", "scene")
