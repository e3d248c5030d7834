"""By which columns rows are told apart, and how: the section ``[segments]``."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from driftline.store.errors import ConfigurationError

_FORM = "`COLUMN`, `COLUMN:CUT:CUT` for numbers, or `MODEL=COLUMN` for one model"


@dataclass(frozen=True, slots=True)
class WantedSegments:
    """A column that the user names, as the signature does, and where its numbers are cut."""

    name: str
    cuts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """The section ``[segments]``.

    Attributes:
        columns: input columns, as the signature names them, whose values are judged each by itself: ``["country",
            "age:30:50"]`` (numbers below 30, to 50, and from 50 up), for one model ``["churn=plan"]``. A model that
            lacks a column which is named for all is judged without it.
        max_values: values of a column that are segments of their own, those most frequent in training; the others are
            one segment, ``other``. Cells without a value are ``missing``.
        budget_share: the part of ``[drift] false_alarms_per_month``, and of the probability that ``[performance]
            chance_deviations`` stands for, that a model's segments share; the rest is left to the model as a whole.
            From 0 to 1, exclusive; only models that have segments share.
        interval_seconds: pause between two looks for hours that are over: these are judged once.
    """

    columns: tuple[str, ...] = ()
    max_values: int = 20
    budget_share: float = 0.5
    interval_seconds: float = 300.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_values <= 200:
            raise ConfigurationError(f"segments.max_values should be from 1 to 200, found {self.max_values}")
        if not 0 < self.budget_share < 1:
            raise ConfigurationError(f"segments.budget_share should be between 0 and 1, found {self.budget_share}")
        if self.interval_seconds <= 0:
            raise ConfigurationError(f"segments.interval_seconds should be above 0, found {self.interval_seconds}")
        for item in self.columns:
            _parse(item)

    def columns_of(self, model: str, inputs: Sequence[str]) -> list[WantedSegments]:
        """Return what is wanted of a model, each column once: what names the model comes before what names none.

        Args:
            inputs: the model's input columns, by their names in the signature; of others nothing is wanted.
        """
        parsed = [_parse(item) for item in self.columns]
        found: dict[str, WantedSegments] = {}
        for of, wanted in sorted(parsed, key=lambda each: each[0] is None):
            if of in (model, None) and wanted.name in inputs:
                found.setdefault(wanted.name, wanted)
        return list(found.values())

    def check(self, model: str, inputs: Sequence[str]) -> None:
        """Check that a model has the columns that are named for it alone.

        Raises:
            ConfigurationError: it has not.
        """
        for of, wanted in map(_parse, self.columns):
            if of == model and wanted.name not in inputs:
                raise ConfigurationError(
                    f"segments.columns names {wanted.name} for {model}, which has no such input: name one of "
                    f"{', '.join(inputs[:10])}"
                )


def _parse(item: str) -> tuple[str | None, WantedSegments]:
    model, equals, rest = item.rpartition("=")
    name, *cuts = rest.split(":")
    try:
        numbers = tuple(float(cut) for cut in cuts)
    except ValueError:
        name, numbers = rest, ()  # a name with a colon
    rising = all(low < high for low, high in pairwise(numbers))
    if not name.strip() or (equals and not model.strip()) or not rising or not all(abs(n) < 1e300 for n in numbers):
        raise ConfigurationError(f"segments.columns should be {_FORM}, cuts rising, found {item!r}")
    return model.strip() if equals else None, WantedSegments(name.strip(), numbers)
