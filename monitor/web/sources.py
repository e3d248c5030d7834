"""What documents are made from."""

from dataclasses import dataclass, field

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.jobs.schedule import Schedule
from driftline.monitor.status import StatusReader
from driftline.monitor.web.reads.windows import Pictures


@dataclass(frozen=True)
class Sources:
    """The monitor's own parts, and the pictures that pages share."""

    context: JobContext
    status: StatusReader
    schedule: Schedule
    pictures: Pictures = field(default_factory=Pictures)
