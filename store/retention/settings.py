"""How long the store keeps what: the section ``[retention]``."""

import math
from dataclasses import dataclass

from driftline.store.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """The section ``[retention]``; 0 keeps for ever. By default nothing goes but the parts of what was rolled up.

    Attributes:
        keep_days: invocations, their prediction rows, labels, dead letters and events that wait; whole UTC days
            go. 0 keeps for ever.
        keep_bytes: of the whole store; above it the oldest days of invocations and predictions go, never today. 0 is no
            limit.
        keep_profile_days: profiles, which drift over long windows is computed from; 0 keeps for ever.
        keep_result_days: drift, quality and performance results, reports, events, and the runs of jobs; 0 keeps
            for ever.
        keep_minute_profile_hours: profiles of single minutes; their rows stay counted in their hours and days. What is
            judged of earlier times begins and ends with whole hours. 0 keeps for ever.
        keep_hour_profile_days: profiles of single hours; their rows stay counted in their days, those by segment do
            not. 0 keeps for ever.
    """

    keep_days: float = 0.0
    keep_bytes: int = 0
    keep_profile_days: float = 0.0
    keep_result_days: float = 0.0
    keep_minute_profile_hours: float = 48.0
    keep_hour_profile_days: float = 90.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            found = getattr(self, name)
            if not (math.isfinite(found) and found >= 0):
                raise ConfigurationError(f"retention.{name} should be a number from 0 (for ever) up, found {found}")
        if (self.keep_hour_profile_days or math.inf) * 24 < (self.keep_minute_profile_hours or math.inf):
            raise ConfigurationError(
                "retention.keep_hour_profile_days should not be shorter than keep_minute_profile_hours, found "
                f"{self.keep_hour_profile_days} days and {self.keep_minute_profile_hours} hours"
            )
        if (self.keep_profile_days or math.inf) < (self.keep_days or math.inf):
            raise ConfigurationError(
                f"retention.keep_profile_days should not be below keep_days, found {self.keep_profile_days} and "
                f"{self.keep_days}: profiles are checked against the rows that are there"
            )
