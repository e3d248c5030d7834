"""Which model a service's events are about, how long one waits for its other half: the section ``[imports]``."""

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from driftline.store.errors import ConfigurationError

if TYPE_CHECKING:
    from driftline.store.imports.events import EventHalf


class Served(NamedTuple):
    """What a service serves: ``service`` as the setting calls it, and the model's URI."""

    service: str
    model_uri: str


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """The section ``[imports]``.

    Attributes:
        models: what the services serve whose events are taken, `SERVICE=URI` each (`iris=models:/iris/3`). SERVICE may
            say more: `iris.prod` in the namespace `prod`, `iris/classifier` for one node of a Seldon graph,
            `iris@canary` for one endpoint, `iris.prod/classifier@canary` all of it; the one that says most is taken.
            Events of other services are refused.
        wait_seconds: an event waits so long for the other half of its call; then it is stored without it.
        interval_seconds: pause between two looks for the other halves.
        max_body_bytes: of one `POST /ingest/cloudevents`; more is a 413.
    """

    models: tuple[str, ...] = ()
    wait_seconds: float = 3600.0
    interval_seconds: float = 60.0
    max_body_bytes: int = 32 << 20

    def __post_init__(self) -> None:
        for name in ("wait_seconds", "interval_seconds", "max_body_bytes"):
            found = getattr(self, name)
            if not (math.isfinite(found) and found > 0):
                raise ConfigurationError(f"imports.{name} should be a number above 0, found {found}")
        self.by_service()

    def by_service(self) -> dict[str, str]:
        """Return the URIs of models by service.

        Raises:
            ConfigurationError: an entry is not ``SERVICE=URI``.
        """
        found = {}
        for entry in self.models:
            service, _, uri = (part.strip() for part in entry.partition("="))
            if not service or not uri:
                raise ConfigurationError(
                    f"imports.models should hold `SERVICE=URI`, such as `iris=models:/iris/3`, found {entry!r}"
                )
            found[service] = uri
        return found

    def served(self, half: "EventHalf") -> Served | None:
        """Return what the service of an event serves, None where no entry names it."""
        known = self.by_service()
        for namespace, node, endpoint in product(
            (f".{half.namespace}", ""), (f"/{half.node}", ""), (f"@{half.endpoint}", "")
        ):
            service = f"{half.service}{namespace}{node}{endpoint}"
            if service in known:
                return Served(service, known[service])
        return None
