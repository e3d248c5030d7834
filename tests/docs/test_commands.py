"""Every command of the documentation is run, or says why it is not; the tutorial's in test_tutorial.py."""

from pathlib import Path

import pytest
from doc_blocks import ANOTHER_WORLD, PAGES, ROOT, TUTORIAL, blocks
from doc_shell import Scene

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
