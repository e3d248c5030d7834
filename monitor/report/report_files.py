"""A report as files in a folder: the same as artifacts in MLflow and on disk."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from driftline.monitor.report.drift_report import EVIDENTLY, QUALITY, SUMMARY, DriftReport
from driftline.monitor.report.summary_page import render

PAGE, SCORES = "summary.html", "scores.json"


def write(folder: Path, report: DriftReport, links: Mapping[str, str | None] | None = None) -> list[str]:
    """Write the report's files and return their names; Evidently's pages are linked as the neighbours they are.

    Args:
        links: further ones, see ``summary_page.render``.
    """
    beside = {key: name for key, name in (("evidently", EVIDENTLY), ("quality", QUALITY)) if name in report.files}
    files = {
        PAGE: render(report.content, {"json": SUMMARY, **beside, **(links or {})}).encode(),
        SUMMARY: as_json(report),
        SCORES: orjson.dumps([_score(c) for c in _columns(report)], option=orjson.OPT_INDENT_2),
        **report.files,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return list(files)


def as_json(report: DriftReport) -> bytes:
    """Return everything but Evidently's own, for machines."""
    return orjson.dumps(report.content, option=orjson.OPT_INDENT_2)


def _columns(report: DriftReport) -> list[dict[str, object]]:
    return [{"arm": arm["arm"], **column} for arm in report.content["arms"] for column in arm["columns"]]


def _score(column: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in column.items() if key not in ("picture", "words")}
