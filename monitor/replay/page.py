"""A replay as one page: plain HTML, no external asset."""

from pathlib import Path
from typing import Any

from driftline.monitor.drift.phrases import number, percent
from driftline.monitor.replay.wording import check_lines, output_line
from driftline.monitor.templates import page_environment


def render(content: dict[str, Any]) -> str:
    """Return the page for a replay's JSON; every text of it is escaped."""
    environment = page_environment(Path(__file__).parent)
    environment.filters.update(number=number, percent=percent)
    page = environment.get_template("replay.html")
    said = [output_line(output) for output in content["outputs"]]
    return page.render(replay=content, said=said, check=check_lines(content["check"]))
