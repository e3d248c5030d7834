"""Every command of the documentation is run, or says why it is not."""

from pathlib import Path

import pytest
import servers
from doc_blocks import ANOTHER_WORLD, PAGES, ROOT, blocks
from doc_shell import Scene, empty_scene, require_tools

TUTORIAL = ROOT / "docs" / "tutorial.md"
BY_PAGE = {page: found for page in PAGES if (found := blocks(page))}
RUN = [page for page, found in BY_PAGE.items() if page != TUTORIAL and any(not block.excuse for block in found)]

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_a_block_is_excused_only_where_it_needs_another_world() -> None:
    excused = [block for found in BY_PAGE.values() for block in found if block.excuse]
    for block in excused:
        print(f"not run: {block.place}: {block.excuse}")
    without_need = [block.place for block in excused if not any(word in block.text for word in ANOTHER_WORLD)]
    assert without_need == []


@pytest.mark.parametrize("page", RUN, ids=_name)
def test_the_commands_of_a_page_do_what_it_says(page: Path, scene: Scene) -> None:
    scene.run_page(BY_PAGE[page])


def test_the_tutorial_works_from_an_empty_folder(tmp_path: Path, postgresql_server: servers.PostgreSQL) -> None:
    require_tools()
    servers.require("prometheus")
    scene = empty_scene(tmp_path / "new", postgresql_server.url)
    scene.ports[9109] = scene.ports[9108]  # the monitor is the reader's own
    scene.run_page(BY_PAGE[TUTORIAL], one_session=True)
