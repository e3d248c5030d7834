"""How the loader works: the section ``[loader]``."""

from dataclasses import dataclass
from typing import Literal

from driftline.store.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """The section ``[loader]``.

    Attributes:
        batch_records, batch_bytes: at most so much goes into one transaction (and one record beyond); the loader's
            memory is a multiple of it.
        poll_interval_seconds: how long to wait when nothing is there.
        drain_seconds: how long a stop may go on loading.
        raw_bodies: which bodies are kept beside the typed columns, compressed: ``none``, those of ``errors`` (4xx, 5xx
            and what cannot be turned into rows), a ``sample`` (errors and a share), or ``all``.
        raw_sample_share: of invocations, 0 to 1; by hash of the invocation's id.
    """

    batch_records: int = 20_000
    batch_bytes: int = 16 << 20
    poll_interval_seconds: float = 0.2
    drain_seconds: float = 20.0
    raw_bodies: Literal["none", "errors", "sample", "all"] = "errors"
    raw_sample_share: float = 0.01

    def __post_init__(self) -> None:
        for name in ("batch_records", "batch_bytes", "poll_interval_seconds"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"loader.{name} should be above 0, found {getattr(self, name)}")
        if self.drain_seconds < 0:
            raise ConfigurationError(f"loader.drain_seconds should not be negative, found {self.drain_seconds}")
        if not 0 <= self.raw_sample_share <= 1:
            raise ConfigurationError(f"loader.raw_sample_share should be from 0 to 1, found {self.raw_sample_share}")
