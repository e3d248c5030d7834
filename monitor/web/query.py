"""What a page's query string asks for: filter, order, page, version, arm, days."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from driftline.store.errors import DriftlineError
from driftline.store.records import Arm

VERDICTS = ("drift", "no drift", "insufficient data", "values not judged", "no reference", "not judged yet")
DAYS = (1, 7, 28)
_LONGEST_TEXT = 200


class BadQuery(DriftlineError):
    """The query string asks for what is not there to be asked."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """The query of a page.

    Attributes:
        text: names must hold it; upper and lower case are alike.
        verdict: entries must have it; empty for all.
        sort: one of the page's orders; the first is the usual one.
        page: from 1.
        per_page: entries per page.
        version: of the model; None for the one that its name means.
        arm: None for the version's first.
        side: of a column whose name is an input's and an output's; None for the input.
        days: of the history that is shown.
        refresh: seconds after which a browser asks again; 0 for never.
    """

    text: str = ""
    verdict: str = ""
    sort: str = ""
    page: int = 1
    per_page: int = 25
    version: str | None = None
    arm: Arm | None = None
    side: str | None = None
    days: int = 1
    refresh: int = 0

    @classmethod
    def of(cls, given: Mapping[str, str], sorts: Sequence[str] = ("severity",), per_page: int = 25) -> Self:
        """Read a query string.

        Raises:
            BadQuery: a value is none that is known; unknown names are passed over.
        """
        arm = _one_of(given, "arm", [arm.name.lower() for arm in Arm])
        return cls(
            text=given.get("q", "")[:_LONGEST_TEXT],
            verdict=_one_of(given, "verdict", VERDICTS),
            sort=_one_of(given, "sort", sorts) or sorts[0],
            page=_number(given, "page", 1, 1, 1_000_000),
            per_page=_number(given, "per_page", per_page, 1, 200),
            version=given.get("version") or None,
            arm=Arm[arm.upper()] if arm else None,
            side=_one_of(given, "side", ("input", "output")) or None,
            days=_number(given, "days", DAYS[0], DAYS[0], DAYS[-1]),
            refresh=_number(given, "refresh", 0, 0, 86_400),
        )

    def cut(self, entries: list[dict[str, Any]], name: Callable[[dict[str, Any]], str]) -> tuple[list[Any], "Paging"]:
        """Return the entries of this page, of those that pass the filter, and where the page stands among them."""
        wanted = self.text.casefold()
        found = [
            e for e in entries
            if wanted in name(e).casefold() and (not self.verdict or e["verdict"] == self.verdict)
        ]  # fmt: skip
        pages = max(1, -(-len(found) // self.per_page))
        page = min(self.page, pages)
        start = (page - 1) * self.per_page
        return found[start : start + self.per_page], Paging(page, pages, self.per_page, len(found), len(entries))


@dataclass(frozen=True, slots=True)
class Paging:
    """A page among its likes: ``found`` entries pass the filter, of ``of`` in all."""

    page: int
    pages: int
    per_page: int
    found: int
    of: int


def _one_of(given: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    value = given.get(name, "")
    if value and value not in known:
        raise BadQuery(f"the query's `{name}` should be one of: {', '.join(known)}")
    return value


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    value = given.get(name, "")
    if not value:
        return default
    if not value.isascii() or not value.isdecimal() or not least <= int(value[:9]) <= most or len(value) > 9:
        raise BadQuery(f"the query's `{name}` should be a whole number from {least} to {most}")
    return int(value)
