"""What a report is: one model version, one window, its findings as JSON, and Evidently's files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from driftline.store.errors import DriftlineError

SUMMARY = "summary.json"
EVIDENTLY, EVIDENTLY_JSON = "evidently.html", "evidently.json"
QUALITY, QUALITY_JSON = "evidently_quality.html", "evidently_quality.json"
FORMAT = 2


class ReportFailed(DriftlineError):
    """Evidently ended without a report."""


@dataclass(frozen=True)
class DriftReport:
    """One report.

    Attributes:
        window: start (inclusive) and end, microseconds since the epoch.
        content: everything but Evidently's own; see docs/reports.md.
        files: Evidently's pages and JSON by their names; empty where it made none.
        scheduled: whether the schedule asked for it.
    """

    window: tuple[int, int]
    content: dict[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    scheduled: bool = False

    @property
    def verdict(self) -> str:
        """The verdict on the first arm."""
        return str(self.content["verdict"])


def verdict_of(columns: Iterable[Mapping[str, Any]]) -> str:
    """Return what the verdicts of columns come to: drift in any of them, no drift, or insufficient data."""
    verdicts = {column["verdict"] for column in columns}
    return next((v for v in ("drift", "no drift") if v in verdicts), "insufficient data")


def current_format(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content in today's form: what an earlier release kept had one arm and no trend."""
    if "arms" in content or "columns" not in content:
        return content
    columns = [{**c, "ratio": _ratio(c), "picture": c.get("changed")} for c in content["columns"]]
    arm = {
        "arm": content["arm"], "rows": content["window"]["rows"], "reference": content["reference"],
        "verdict": verdict_of(columns), "columns": columns, "quality": [], "multivariate": None, "segments": [],
        "performance": [],
    }  # fmt: skip
    kept = content["accounts"]
    kept = {"quarantined": 0, "oldest_pending_at": None, **kept}
    kept["balanced"] = kept["answered"] == kept["stored"] + kept["spooled"] + sum(kept["dropped"].values())
    return {
        **{key: value for key, value in content.items() if key not in ("arm", "columns", "reference", "evidently")},
        "format": 1, "alias": None, "scheduled": True, "verdict": arm["verdict"], "arms": [arm], "beside": [],
        "sample": {**content["sample"], "columns": None, "labelled_rows": None}, "notes": [], "trend": None,
        "files": [EVIDENTLY], "task": None, "accounts": kept, "jobs": {},
    }  # fmt: skip


def _ratio(column: Mapping[str, Any]) -> float | None:
    score, threshold = column["score"], column["threshold"]
    return score / threshold if score is not None and threshold else None
