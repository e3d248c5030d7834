"""The dashboard ``driftline-runbooks``: the runbooks of docs/alerts.md, one panel each.

Alerts link here and not to the monitor, because a runbook must be readable while the monitor is down.
"""

import re
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models import text as options

UID = "driftline-runbooks"
RUNBOOKS = Path(__file__).parents[1] / "docs" / "alerts.md"
_RUNBOOK = re.compile(r"^## (Driftline\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def runbook_dashboard(markdown: str | None = None) -> dashboard.Dashboard:
    """Return the dashboard; panel ids count from 1 in the order of the document.

    Args:
        markdown: a document whose level-two headings are alert names; None reads docs/alerts.md.
    """
    board = (
        dashboard.Dashboard("Driftline runbooks")
        .uid(UID)
        .description("What each alert means and what to do. Generated from docs/alerts.md.")
        .tags(["driftline"])
        .readonly()
    )
    found = _RUNBOOK.findall(markdown if markdown is not None else RUNBOOKS.read_text(encoding="utf-8"))
    for number, (alert, body) in enumerate(found, start=1):
        panel = text.Panel().id(number).title(alert).description(f"Runbook of the alert {alert}.")
        panel = panel.mode(options.TextMode.MARKDOWN).content(body.strip()).height(22).span(12)
        board = board.with_panel(panel)
    return board
