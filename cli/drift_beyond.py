"""What ``driftline drift`` prints below the columns: data quality, and all inputs together."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from driftline.cli.aligned import aligned

if TYPE_CHECKING:
    from driftline.monitor.multivariate.check import MultivariateDrift
    from driftline.monitor.quality.finding import QualityFinding


def quality_table(findings: Sequence["QualityFinding"]) -> str:
    """Return what is wrong with the rows, a line per breach, below a line that counts the checks."""
    from driftline.monitor.quality.finding import QualityVerdict

    counted = Counter(f.verdict for f in findings)
    breaches = [f for f in findings if f.verdict is QualityVerdict.BREACH]
    plural = "" if len(breaches) == 1 else "es"
    head = f"data quality: {len(breaches)} breach{plural}, {counted[QualityVerdict.OK]} checks without"
    if counted[QualityVerdict.INSUFFICIENT_DATA]:
        head += f", {counted[QualityVerdict.INSUFFICIENT_DATA]} without a verdict"
    if not breaches:
        return head
    rows: list[tuple[str, ...]] = [("check", "column", "observed", "expected", "threshold", "finding")]
    for f in breaches:
        name = f"{f.name} (output)" if f.side == "output" else f.name or "-"
        rows.append((f.kind.words, name, *(_shown(f, x) for x in (f.observed, f.expected, f.threshold)), f.reason))
    return "\n".join([head, *aligned(rows, left=2)])


def multivariate_line(check: "MultivariateDrift | None", window: tuple[int, int], *, now: bool) -> str:
    """Return what was found of all inputs together, and of which time where that is not the window's own.

    Args:
        window: what the columns above were judged of, microseconds since the epoch.
        now: whether the check is of that window; else it is the monitor's last one, which is told if it ended in it.
    """
    from driftline.monitor.drift.windows import span_name
    from driftline.store.records import MICROSECONDS, iso

    if check is None:
        return "all inputs together: not checked yet; the monitor does so every hour, `--multivariate` does now"
    found = f"{check.verdict}: {check.reason}"
    if now:
        return f"all inputs together: {found}"
    start, end = check.window
    of_monitor = f"the monitor's last check, of {span_name((end - start) // MICROSECONDS)} up to {iso(end)}"
    if end <= window[0]:
        return f"all inputs together: not checked in this time ({of_monitor}, lies before); `--multivariate` does now"
    return f"all inputs together, by {of_monitor}: {found}"


def _shown(finding: "QualityFinding", value: float | None) -> str:
    from driftline.monitor.drift.phrases import number, percent
    from driftline.monitor.quality.finding import Kind

    if value is None:
        return "-"
    return number(value) if finding.kind in (Kind.VOLUME, Kind.CONSTANT) else percent(value)
