"""Settings of the section ``drift``: what is refused, and how."""

import pytest

from driftline.monitor.drift.settings import DriftSettings
from driftline.store.errors import ConfigurationError
from driftline.store.settings import load_section


def test_the_section_is_read_from_variables() -> None:
    settings = load_section(DriftSettings, "drift", environ={
        "DRIFTLINE_DRIFT_FALSE_ALARMS_PER_MONTH": "0.5",
        "DRIFTLINE_DRIFT_COLUMN_THRESHOLDS": "age=0.2",
        "DRIFTLINE_DRIFT_NUMERIC_STATISTIC": "hellinger",
    })  # fmt: skip
    assert settings.false_alarms_per_month == 0.5
    assert settings.thresholds_by_column() == {"age": 0.2}
    assert settings.numeric_statistic == "hellinger"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"false_alarms_per_month": 0.0}, "false_alarms_per_month should lie between 0"),
        ({"false_alarms_per_month": 5e-324}, "false_alarms_per_month should lie between 0.001"),
        ({"windows": "1h,999999999d"}, "windows should be of a year at most"),
        ({"windows": "1h,soon"}, "windows should be whole minutes, hours or days"),
        ({"windows": ""}, "windows should be whole minutes, hours or days"),
        ({"close_ratio": 1.5}, "close_ratio should lie between 0 and 1"),
        ({"min_rows": 1}, "min_rows at least 2"),
        ({"column_statistics": "age=psi"}, "age has `psi`, known are: chi_square"),
        ({"column_statistics": "age"}, "column_statistics should be `column=value"),
        ({"column_thresholds": "age=high"}, "column_thresholds should be numbers"),
        ({"column_thresholds": "age=nan"}, "column_thresholds should be more than 0"),
        ({"column_thresholds": "age=inf"}, "column_thresholds should be more than 0"),
        ({"column_thresholds": "income=0.2,age=0"}, "column_thresholds should be more than 0"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        DriftSettings(**fields)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
