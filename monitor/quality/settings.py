"""What the user may set of the findings on data quality; section ``quality``."""

from dataclasses import dataclass

from driftline.monitor.drift.windows import parse_spans
from driftline.store.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """Settings of the section ``quality``.

    Attributes:
        interval_seconds: pause between two runs of the quality job.
        false_alarms_per_month: how many wrong findings a model may have in a month when its rows are as in training and
            independent; shared by all its columns, checks and windows.
        windows: spans of live data, up to now, that are looked at: whole minutes (m), hours (h) or days (d).
        min_share: a share of cells or rows that exceeds the training data's by less is no breach, whatever the rows.
        min_rows: fewer rows get no verdict.
        sample_rows: at most so many rows a side are compared to find duplicates; 0 looks for none.
        volume_factor: an hour's rows are a breach only at so many times their usual number, or one part in so many.
        volume_weeks: an hour is compared with the same hour of so many past weeks at least; 0 never.
    """

    interval_seconds: float = 3600.0
    false_alarms_per_month: float = 1.0
    windows: str = "1h,24h"
    min_share: float = 0.01
    min_rows: int = 100
    sample_rows: int = 5_000
    volume_factor: float = 2.0
    volume_weeks: int = 4

    def __post_init__(self) -> None:
        if not 0.001 <= self.false_alarms_per_month <= 1000:
            raise ConfigurationError(
                "false_alarms_per_month of [quality] should lie between 0.001 and 1000, "
                f"found {self.false_alarms_per_month}"
            )
        if not 0 < self.min_share < 1 or self.min_rows < 2:
            raise ConfigurationError(
                "min_share should lie between 0 and 1 and min_rows be at least 2: correct section [quality]"
            )
        if self.interval_seconds <= 0:
            raise ConfigurationError("interval_seconds should be more than 0: correct section [quality]")
        if self.sample_rows < 0 or self.volume_factor <= 1 or not (self.volume_weeks == 0 or self.volume_weeks >= 4):
            raise ConfigurationError(
                "sample_rows should be at least 0, volume_factor more than 1, and volume_weeks 0 or at least 4: "
                "correct section [quality]"
            )
        self.spans()

    def spans(self) -> tuple[int, ...]:
        """Return ``windows`` in seconds, rising."""
        return parse_spans(self.windows)
