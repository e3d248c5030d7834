"""Which drifted column people read first."""

from dataclasses import replace

from driftline.monitor.drift.ranking import ranked
from driftline.monitor.drift.verdict import ColumnDrift, Verdict


def _judged(name: str, score: float, side: str = "input") -> ColumnDrift:
    verdict = Verdict.DRIFT if score >= 0.1 else Verdict.NO_DRIFT
    return ColumnDrift(
        side, name, name, "numeric", "wasserstein", score, 0.1, None, 3600, 500, 500, verdict, "", 0, 0, None, 0
    )


def _names(drifts: list[ColumnDrift]) -> list[str]:
    return [drift.name for drift in drifts]


def test_a_column_that_the_model_ignores_does_not_lead_however_far_it_moved() -> None:
    drifts = [_judged("ignored", 3.0), _judged("calm", 0.01), _judged("relied_on", 0.3), _judged("little", 0.2)]
    importances = {"ignored": 0.0, "calm": 0.2, "relied_on": 0.7, "little": 0.1}
    assert _names(ranked(drifts, importances)) == ["relied_on", "little", "ignored", "calm"]


def test_without_importances_the_signatures_order_stays() -> None:
    drifts = [_judged("a", 0.2), _judged("b", 3.0), _judged("c", 0.01)]
    assert ranked(drifts, None) == drifts


def test_an_output_counts_as_much_as_the_most_important_input() -> None:
    drifts = [_judged("a", 0.4), _judged("b", 0.2), _judged("prediction", 0.3, side="output")]
    assert _names(ranked(drifts, {"a": 0.6, "b": 0.4})) == ["a", "prediction", "b"]


def test_a_drift_that_is_still_open_below_its_threshold_ranks_as_drift() -> None:
    still = replace(_judged("still", 0.09), verdict=Verdict.DRIFT)
    assert _names(ranked([_judged("calm", 0.05), still], {"still": 0.1, "calm": 0.9})) == ["still", "calm"]
