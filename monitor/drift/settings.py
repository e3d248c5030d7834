"""What the user may set of the drift judgement; section ``drift``."""

from dataclasses import dataclass
from typing import Literal

from driftline.monitor.drift.registry import DISTRIBUTION_STATISTICS, SHARE_STATISTICS, UNSEEN_SHARE
from driftline.monitor.drift.windows import parse_spans
from driftline.store.errors import ConfigurationError

NumericStatistic = Literal[
    "wasserstein", "winsorised_wasserstein", "kolmogorov_smirnov", "jensen_shannon", "hellinger",
    "population_stability_index", "chi_square", "total_variation",
]  # fmt: skip
CategoricalStatistic = Literal[
    "jensen_shannon", "hellinger", "population_stability_index", "chi_square", "total_variation",
    "unseen_share_difference",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """Settings of the section ``drift``.

    Attributes:
        false_alarms_per_month: how many wrong verdicts a model may have in a month when nothing drifts and rows are
            independent; shared by all its columns and windows.
        windows: spans of live data, up to now, that are judged together: whole minutes (m), hours (h) or days (d).
        close_ratio: an episode of drift ends when scores stay under this part of their thresholds ...
        close_after_seconds: ... for so long.
        min_effect: a score below it is no drift, however many rows there are.
        min_category_effect: the same for columns judged by the shares of their categories.
        min_rows: fewer rows get no verdict.
        numeric_statistic: of numeric columns with more than five reference values.
        categorical_statistic: of categorical columns, and of numeric ones with five values or fewer.
        column_statistics: exceptions, ``column=statistic`` separated by commas, by column name or signature name.
        column_thresholds: fixed thresholds in place of the calibrated ones, ``column=number`` separated by commas.
    """

    false_alarms_per_month: float = 1.0
    windows: str = "1h,3h,6h,24h,7d"
    close_ratio: float = 0.8
    close_after_seconds: float = 7200.0
    min_effect: float = 0.1
    min_category_effect: float = 0.05
    min_rows: int = 100
    numeric_statistic: NumericStatistic = "wasserstein"
    categorical_statistic: CategoricalStatistic = "jensen_shannon"
    column_statistics: str = ""
    column_thresholds: str = ""

    def __post_init__(self) -> None:
        if not 0.001 <= self.false_alarms_per_month <= 1000:
            raise ConfigurationError(
                f"false_alarms_per_month should lie between 0.001 and 1000, found {self.false_alarms_per_month}"
            )
        if not 0 < self.close_ratio <= 1 or self.close_after_seconds < 0:
            raise ConfigurationError(
                "close_ratio should lie between 0 and 1 and close_after_seconds be at least 0: correct section [drift]"
            )
        if self.min_effect < 0 or self.min_category_effect < 0 or self.min_rows < 2:
            raise ConfigurationError(
                "min_effect and min_category_effect should be at least 0 and min_rows at least 2: "
                "correct section [drift]"
            )
        known = (*DISTRIBUTION_STATISTICS, *SHARE_STATISTICS, UNSEEN_SHARE)
        for column, statistic in self.statistics_by_column().items():
            if statistic not in known:
                raise ConfigurationError(
                    f"column_statistics: {column} has `{statistic}`, known are: {', '.join(sorted(known))}"
                )
        if not all(0 < threshold < float("inf") for threshold in self.thresholds_by_column().values()):
            raise ConfigurationError(
                f"column_thresholds should be more than 0, as `age=0.2`, found {self.column_thresholds!r}"
            )
        self.spans()

    def spans(self) -> tuple[int, ...]:
        """Return ``windows`` in seconds, rising."""
        return parse_spans(self.windows)

    def statistics_by_column(self) -> dict[str, str]:
        """Return ``column_statistics`` as a mapping."""
        return _pairs(self.column_statistics, "column_statistics")

    def thresholds_by_column(self) -> dict[str, float]:
        """Return ``column_thresholds`` as a mapping."""
        try:
            return {k: float(v) for k, v in _pairs(self.column_thresholds, "column_thresholds").items()}
        except ValueError as error:
            raise ConfigurationError(
                f"column_thresholds should be numbers, as `age=0.2,income=0.3`: {error}"
            ) from error


def _pairs(text: str, setting: str) -> dict[str, str]:
    pairs = [item.rpartition("=") for item in text.split(",") if item.strip()]
    if not all(column.strip() and value.strip() for column, _, value in pairs):
        raise ConfigurationError(f"{setting} should be `column=value,column=value`, found {text!r}")
    return {column.strip(): value.strip() for column, _, value in pairs}
