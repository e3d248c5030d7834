"""The PromQL of a dashboard, with its variables filled in as Grafana would."""

from typing import Any

VARIABLES = {
    "$__rate_interval": "1m", "$__range": "30m", "$feature": "income",
    "$model_version": ".+", "$arm": ".+", "$instance": ".+",
}  # fmt: skip


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard without the rows that they stand in."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: dict[str, Any]) -> dict[str, str]:
    """Return where it stands -> expression, for all panels and annotations."""
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels(board)
        for target in panel.get("targets", [])
    }
    return found | {each["name"]: each["expr"] for each in board.get("annotations", {}).get("list", [])}


def filled(expression: str, model_name: str) -> str:
    """Return the expression with values for the dashboard's and Grafana's own variables."""
    for name, value in (VARIABLES | {"$model_name": model_name}).items():
        expression = expression.replace(name, value)
    return expression
