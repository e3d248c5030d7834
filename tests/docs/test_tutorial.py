"""The tutorial, typed from its first command to its last."""

from pathlib import Path

import pytest
import servers
from doc_blocks import TUTORIAL, blocks
from doc_shell import empty_scene, require_tools

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]


def test_the_tutorial_works_from_an_empty_folder(tmp_path: Path) -> None:
    require_tools()
    servers.require("prometheus")
    scene = empty_scene(tmp_path / "new", postgresql="")
    scene.ports[9109] = scene.ports[9108]  # the monitor is the reader's own
    scene.run_page(blocks(TUTORIAL), one_session=True)
