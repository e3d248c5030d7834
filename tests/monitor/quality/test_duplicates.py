import numpy as np
import pandas as pd
import pytest

from driftline.monitor.quality.duplicates import duplicate_share, duplicates_finding
from driftline.monitor.quality.finding import QualityFinding, QualityVerdict
from driftline.monitor.quality.settings import QualitySettings

COLUMNS = ["in_age", "in_name"]


def rows(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"in_age": rng.random(count), "in_name": rng.choice(["a", "b", None], count)})


def judged(live: pd.DataFrame, training: pd.DataFrame | None) -> QualityFinding:
    return duplicates_finding(live, training, COLUMNS, (0, 1), QualitySettings(), 1e-5)


def test_every_row_of_a_group_of_equals_is_a_duplicate() -> None:
    frame = pd.DataFrame({"a": [1, 1, 2, 3, 3, 3], "b": ["x", "x", "x", None, None, None]})
    assert duplicate_share(frame) == pytest.approx(5 / 6)
    assert duplicate_share(pd.DataFrame({"a": [b"\x00", b"\x00", b"\xff"], "b": [None, None, None]})) == pytest.approx(
        2 / 3
    )
    assert duplicate_share(pd.DataFrame({"a": [1.0, np.nan, np.nan]})) == pytest.approx(2 / 3)


def test_a_client_that_repeats_itself_is_found() -> None:
    live = pd.concat([rows(900, 2), rows(1, 3).loc[[0] * 100]])
    found = judged(live, rows(3_000, 1))
    assert (found.verdict, found.observed, found.expected) == (QualityVerdict.BREACH, 0.1, 0.0)
    assert "10 % of 1,000 sampled rows equal another one, 0 % of 1,000 training rows" in found.reason


def test_rows_that_repeat_in_training_too_are_no_breach() -> None:
    few = pd.DataFrame({"in_age": np.random.default_rng(1).integers(0, 3, 4_000), "in_name": "a"})
    assert judged(few[:1_000], few[1_000:]).verdict is QualityVerdict.OK


def test_without_training_rows_the_share_is_told_and_not_judged() -> None:
    found = judged(rows(500, 1), None)
    assert (found.verdict, found.observed, found.threshold) == (QualityVerdict.INSUFFICIENT_DATA, 0.0, None)
    assert judged(rows(20, 1), rows(500, 1)).verdict is QualityVerdict.INSUFFICIENT_DATA


def test_a_column_that_the_training_rows_lack_is_not_compared() -> None:
    live = rows(1_000, 2).assign(in_age=1.0)
    assert judged(live, rows(3_000, 1)[["in_name"]]).verdict is QualityVerdict.OK


def test_training_rows_that_hold_none_of_the_inputs_are_not_compared() -> None:
    found = judged(rows(500, 1), pd.DataFrame({"out_prediction": np.zeros(500)}))
    assert (found.verdict, found.observed) == (QualityVerdict.INSUFFICIENT_DATA, None)
