"""Our own one-page summary of a report: verdicts, worst columns, accounts. Plain HTML, no external asset."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(content: dict[str, Any]) -> str:
    """Return the page for a report's JSON; every text of it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    columns = sorted(content["columns"], key=_severity, reverse=True)
    drifted = [c for c in columns if c["verdict"] == "drift"]
    return environment.get_template("summary.html").render(report=content, columns=columns, drifted=drifted)


def _severity(column: dict[str, Any]) -> tuple[bool, float]:
    """Order by drift first, then by how many times the threshold the score is."""
    if column["score"] is None:
        return False, -1.0
    return column["verdict"] == "drift", column["score"] / (column["threshold"] or 1.0)
