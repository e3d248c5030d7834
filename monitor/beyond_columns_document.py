"""What is found beyond the drift of single columns, as JSON for machines: in `driftline drift --json` and on pages."""

import math
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Row

from driftline.monitor.drift.verdict import in_thresholds
from driftline.monitor.multivariate.check import MultivariateDrift
from driftline.monitor.quality.finding import QualityFinding
from driftline.store.records import iso


def quality_document(findings: Sequence[QualityFinding]) -> list[dict[str, Any]]:
    """Return findings on data quality as plain values."""
    return [
        {
            "kind": f.kind,
            "column": f.name or None,
            "side": f.side or None,
            "window": {"start": iso(f.window[0]), "end": iso(f.window[1]), "rows": f.window_rows},
            "observed": f.observed,
            "expected": f.expected,
            "threshold": f.threshold,
            "verdict": f.verdict,
            "reason": f.reason,
        }
        for f in findings
    ]


def multivariate_document(check: MultivariateDrift | None) -> dict[str, Any] | None:
    """Return the check of all inputs together as plain values; None where none was made."""
    if check is None:
        return None
    return {
        "window": {"start": iso(check.window[0]), "end": iso(check.window[1]), "rows": check.window_rows},
        "training_rows": check.training_rows,
        "auc": check.auc,
        "z": check.z,
        "columns": check.columns,
        "verdict": check.verdict,
        "reason": check.reason,
    }


def segments_document(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Return verdicts on segments, rows of ``segment_result``, as plain values."""
    return [_segment(row) for row in rows]


def _segment(row: Row[Any]) -> dict[str, Any]:
    ratio = math.inf if row.score is None else in_thresholds(row.score, row.threshold)
    return {
        "segment_column": row.segment_column,
        "segment": row.segment,
        "verdict": row.verdict,
        "reason": row.reason,
        "column": row.column_name,
        "side": row.side,
        "score": row.score,
        "threshold": row.threshold,
        "ratio": ratio if math.isfinite(ratio) else None,
        "drifted_columns": [each["column"] for each in orjson.loads(row.columns)],
        "judged_columns": row.judged,
        "rows": row.window_rows,
        "training_rows": row.reference_rows,
        "since": None if row.since is None else iso(row.since),
        "window": {"start": iso(row.window_start), "end": iso(row.window_end)},
    }
