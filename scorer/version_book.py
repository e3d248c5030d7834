"""The model versions that a server has served since it started, each with its counters."""

from collections.abc import Iterator
from dataclasses import dataclass

from driftline.scorer.model_source import ModelSource
from driftline.scorer.orders import ModelOrder
from driftline.scorer.tally import TallySheet
from driftline.store.records import Arm, ModelIdentity


@dataclass(frozen=True, slots=True)
class BookedVersion:
    """One model version in one arm."""

    arm: Arm
    source: ModelSource
    sheet: TallySheet

    @property
    def identity(self) -> ModelIdentity:
        return self.source.identity

    @property
    def version(self) -> str:
        return self.source.identity.version

    @property
    def serving_workers(self) -> int:
        """Living workers that answer with it."""
        return self.sheet.ready()

    def order(self, attempt: int) -> ModelOrder:
        return ModelOrder(self.arm, self.source.path, self.source.identity, self.sheet.path, attempt)


class VersionBook:
    """All of them; counters stay when a version goes, and go on when it comes back.

    Args:
        workers: processes that may count at a time.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._versions: dict[tuple[Arm, str, str, str], BookedVersion] = {}

    def enter(self, arm: Arm, source: ModelSource) -> BookedVersion:
        """Return the version's entry; a version that was there before has its counters still."""
        identity = source.identity
        key = (arm, identity.name, identity.version, identity.fingerprint)
        known = self._versions.get(key)
        sheet = known.sheet if known else TallySheet.create(self._workers)
        self._versions[key] = BookedVersion(arm, source, sheet)
        return self._versions[key]

    def __iter__(self) -> Iterator[BookedVersion]:
        return iter(list(self._versions.values()))  # a scrape reads while the watch enters
