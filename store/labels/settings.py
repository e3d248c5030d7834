"""How labels find their rows, and how long those are kept that do not: the section ``[labels]``."""

import math
from dataclasses import dataclass
from typing import Literal

from driftline.store.errors import ConfigurationError

RepeatedKeys = Literal["reject", "newest", "all"]


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """The section ``[labels]``.

    Attributes:
        key_column: input column, as the signature names it, that labels without a request id are found by; one for all
            models (``customer_id``) or one each (``churn=customer_id, fraud=transaction_id``). Empty: by request id
            only.
        repeated_keys: what a key of several rows means: ``reject`` keeps the label as ambiguous, ``newest`` takes the
            newest row that is not younger than the label's event, ``all`` takes all of those.
        check_types: whether a label must be comparable with its model's output, where that is a single column.
        pending_days: a label whose request is not known waits so long for it, then it is rejected as expired.
        keep_reject_days: rejected labels are kept so long; 0 keeps for ever.
        match_interval_seconds: pause between two looks for the requests of labels that wait.
        max_body_bytes: of one ``POST /labels``; more is a 413.
        expected_delay_seconds: labels are due so long after their requests; coverage counts older predictions only.
        min_coverage: a smaller labelled share of the predictions whose labels are due is an alert.
    """

    key_column: str = ""
    repeated_keys: RepeatedKeys = "reject"
    check_types: bool = True
    pending_days: float = 30.0
    keep_reject_days: float = 30.0
    match_interval_seconds: float = 300.0
    max_body_bytes: int = 2_000_000_000
    expected_delay_seconds: float = 86_400.0
    min_coverage: float = 0.1

    def __post_init__(self) -> None:
        for name in ("pending_days", "keep_reject_days", "match_interval_seconds", "max_body_bytes",
                     "expected_delay_seconds"):  # fmt: skip
            found = getattr(self, name)
            if not (math.isfinite(found) and found >= 0):
                raise ConfigurationError(f"labels.{name} should be a number from 0 up, found {found}")
        if not 0 <= self.min_coverage <= 1:
            raise ConfigurationError(f"labels.min_coverage should lie between 0 and 1, found {self.min_coverage}")
        self.key_column_of("")

    def key_column_of(self, model: str) -> str:
        """Return the key column of a model; ``""`` asks for the one that holds for all.

        Raises:
            ConfigurationError: the setting is neither a column nor ``MODEL=COLUMN, ...``.
        """
        if "=" not in self.key_column:
            return self.key_column.strip()
        columns = {}
        for part in self.key_column.split(","):
            name, _, column = (each.strip() for each in part.partition("="))
            if not name or not column:
                raise ConfigurationError(
                    f"labels.key_column should be a column or `MODEL=COLUMN, MODEL=COLUMN`, found {self.key_column!r}"
                )
            columns[name] = column
        return columns.get(model, "")
