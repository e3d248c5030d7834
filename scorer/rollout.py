"""Bring the version that the registry points to into service in one arm, or keep what serves.

Invariants
----------
- What is proven, which is what a worker loads when it starts, is a version that some worker serves or has served.
- A version that failed is ordered again only after a pause that doubles with each failure, or when the registry has
  pointed elsewhere in between; one that ended the workers that loaded it, after the longest pause.
- A report counts for the order that it answers; those for an order that was withdrawn are passed over.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from driftline.scorer.children import lives
from driftline.scorer.load_reports import LoadReport
from driftline.scorer.model_source import ModelSource
from driftline.scorer.orders import ModelOrder
from driftline.scorer.version_book import BookedVersion, VersionBook
from driftline.store.errors import DriftlineError
from driftline.store.events import Event, EventKind
from driftline.store.records import MICROSECONDS, Arm, ModelIdentity, now_us

_LONGEST_PAUSE_SECONDS = 3600.0
_FREE_DEATHS = 1  # of workers that load: a worker may be killed for another reason

_log = logging.getLogger("driftline.scorer")


@dataclass(frozen=True, slots=True)
class Swaps:
    """How many versions came into service since the start, and how many could not."""

    success: int = 0
    error: int = 0

    def __add__(self, other: "Swaps") -> "Swaps":
        return Swaps(self.success + other.success, self.error + other.error)


class Rollout:
    """The state of one arm in the parent; one thread calls it.

    Args:
        arm: whose model this is.
        uri: as the user typed it.
        first: what the server starts with.
        book: where versions are entered.
        tell: where events go.
        first_pause_seconds: after a failure.
        fetch: brings the files of a URI here, see ``model_source.resolve``; what it makes here is removed again.
    """

    def __init__(
        self,
        arm: Arm,
        uri: str,
        first: ModelSource,
        book: VersionBook,
        tell: Callable[[Event], None],
        first_pause_seconds: float,
        fetch: Callable[[str], ModelSource],
    ) -> None:
        self.arm = arm
        self.uri = uri
        self.proven: BookedVersion = book.enter(arm, first)
        self.wanted: BookedVersion | None = None
        self.pointed = first.identity.version
        self.swaps = Swaps()
        self._book = book
        self._tell = tell
        self._fetch = fetch
        self._first_pause = first_pause_seconds
        self._attempt = 0
        self._failures = self._deaths = 0
        self._retry_at = float("-inf")
        self._again = False  # some workers serve the proven version and one could not
        self._loading_pid: int | None = None
        self._announced: BookedVersion | None = None
        self._before: BookedVersion | None = None  # its last requests may still be under way
        self._fetched = {first.fetched} if first.fetched else set()
        self._told: tuple[ModelOrder, ModelOrder | None] = (self.proven_order, None)

    @property
    def proven_order(self) -> ModelOrder:
        return self.proven.order(self._attempt)

    @property
    def wanted_order(self) -> ModelOrder | None:
        return self.wanted.order(self._attempt) if self.wanted else None

    @property
    def in_sync(self) -> bool:
        """Whether all workers serve what the registry points to."""
        return self.pointed == self.proven.version and self._all_serve(self.proven)

    def point(self, version: str) -> None:
        """The registry points to this version of the model."""
        if version == self.pointed:
            return
        self.pointed = version
        self._failures = self._deaths = 0
        self._retry_at = float("-inf")
        _log.info("%s points to version %s now; version %s serves", self.uri, version, self.proven.version)
        self._leave("alias moved", None, {"to": version, "from": self.proven.version})

    def advance(self, now: float) -> bool:
        """Do what is due at ``now``, a monotonic time; return whether the workers have to be told."""
        if self.wanted is not None and self.wanted.serving_workers:
            self.proven, self.wanted = self.wanted, None
        self._see_deaths(now)
        if self.wanted is not None and self.pointed != self.wanted.version:
            self._order(None)
        if self.wanted is None and now >= self._retry_at:
            if self.pointed != self.proven.version:
                self._fetch_wanted(now)
            elif self._again:
                self._order(None)
        self._announce()
        orders = (self.proven_order, self.wanted_order)
        told, self._told = self._told, orders
        return told != orders

    def take(self, report: LoadReport, now: float) -> None:
        """Note what a worker says."""
        if report.arm != self.arm or report.attempt != self._attempt:
            return
        self._loading_pid = report.pid if report.state == "loading" else None
        if report.state == "failed":
            self._fail(report.reason, now)

    def _fetch_wanted(self, now: float) -> None:
        self._remove_fetched()
        try:
            source = self._fetch(self.uri)
        except DriftlineError as error:
            self._fail(str(error), now)
            return
        self.pointed = source.identity.version  # it may have moved again since it was asked for
        if source.fetched is not None:
            self._fetched.add(source.fetched)
        if self.pointed != self.proven.version:
            self._order(self._book.enter(self.arm, source))

    def _remove_fetched(self) -> None:
        """Remove the files of versions that no worker loads or may still read."""
        kept = (self.proven, self.wanted, self._announced, self._before)
        held = {each.source.fetched for each in kept if each is not None}
        for folder in self._fetched - held:
            shutil.rmtree(folder, ignore_errors=True)
        self._fetched &= held

    def _order(self, version: BookedVersion | None) -> None:
        self.wanted = version
        self._attempt += 1
        self._again = False
        self._loading_pid = None

    def _see_deaths(self, now: float) -> None:
        if self._loading_pid is None or lives(self._loading_pid):
            return
        self._loading_pid = None
        self._deaths += 1
        if self._deaths > _FREE_DEATHS:
            # Each try costs the requests that a worker has under way, so the next one waits long.
            self._fail("the worker that loaded it ended: is there memory for two models?", now, _LONGEST_PAUSE_SECONDS)
        else:
            self._order(self.wanted)

    def _fail(self, reason: str, now: float, pause: float | None = None) -> None:
        pause = pause or min(self._first_pause * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._retry_at = now + pause
        self.swaps = Swaps(self.swaps.success, self.swaps.error + 1)
        failed = self.wanted.identity if self.wanted else self.proven.identity if self._serves_it else None
        _log.error(
            "version %s of %s cannot serve, version %s goes on: %s; the next try is in %.0f s, or when the registry "
            "points to another", self.pointed, self.uri, self.proven.version, reason, pause,
        )  # fmt: skip
        self._leave("model failed", failed, {"version": self.pointed, "reason": reason})
        self._order(None)
        self._again = self._serves_it

    @property
    def _serves_it(self) -> bool:
        """Whether some workers serve already what the registry points to."""
        return self.pointed == self.proven.version

    def _announce(self) -> None:
        if self._announced is self.proven or not self._all_serve(self.proven):
            return
        totals = self.proven.sheet.totals()
        seconds = totals.load_duration_us / MICROSECONDS
        self._before = self._announced
        self._remove_fetched()
        before = self._before.version if self._before else None
        if self._announced is not None:
            self.swaps = Swaps(self.swaps.success + 1, self.swaps.error)
            _log.info("version %s of %s serves, it took %.1f s to load", self.proven.version, self.uri, seconds)
        self._announced = self.proven
        self._failures = self._deaths = 0
        self._leave("model loaded", self.proven.identity, {"from": before, "seconds": seconds}, totals.loaded_at_us)

    def _all_serve(self, version: BookedVersion) -> bool:
        others = [each for each in self._book if each.arm == self.arm and each.sheet is not version.sheet]
        return version.serving_workers > 0 and not any(each.serving_workers for each in others)

    def _leave(
        self, kind: EventKind, identity: ModelIdentity | None, detail: dict[str, object], at_us: int = 0
    ) -> None:
        detail = {"arm": self.arm.name.lower(), "uri": self.proven.identity.uri, **detail}
        self._tell(Event(kind, at_us or now_us(), identity, detail))
