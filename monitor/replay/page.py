"""A replay as one page: plain HTML, no external asset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from driftline.monitor.drift.phrases import number, percent, shortened
from driftline.monitor.replay.wording import by_amounts, check_lines, distance, output_line
from driftline.monitor.templates import page_environment

_SIDES = {"recorded": "{} then", "asked": "{} now", "inputs": "{}"}


def render(content: dict[str, Any]) -> str:
    """Return the page for a replay's JSON; every text of it is escaped."""
    environment = page_environment(Path(__file__).parent)
    environment.filters.update(number=number, percent=percent, distance=distance, value=_value)
    page = environment.get_template("replay.html")
    said = [output_line(output) for output in content["outputs"]]
    return page.render(
        replay=content,
        said=said,
        check=check_lines(content["check"]),
        amounts=by_amounts(content),
        values=_value_columns(content["most_different"]),
    )


def _value_columns(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return side, name and title of what is told of the rows that differ most; none unless values were asked for."""
    columns = {
        (side, name): title.format(name) for side, title in _SIDES.items() for row in rows for name in row.get(side, {})
    }
    return [(side, name, title) for (side, name), title in columns.items()]


def _value(cell: Any) -> str:
    if cell is None:
        return "missing"
    return f"{cell:.6g}" if isinstance(cell, float) else shortened(str(cell))
