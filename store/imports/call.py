"""One call of a model that another system captured, as an invocation of ours."""

import hashlib
from dataclasses import dataclass

from driftline.store.errors import DriftlineError
from driftline.store.records import Arm, Invocation

_LONGEST_HEADER = 0xFFFF


class UnreadableEvent(DriftlineError):
    """What was captured cannot be read; the text says why and holds no value of a request."""


@dataclass(frozen=True, slots=True)
class ImportedCall:
    """A request and its answer.

    Attributes:
        event_id: the other system's; the same call has the same in every copy of it.
        at_us: when the request came, microseconds since the epoch.
        client_request_id: what the client called it, empty where it did not.
        request, response: bodies as MLflow's server takes and gives them.
    """

    event_id: str
    at_us: int
    content_type: bytes
    request: bytes
    response: bytes
    client_request_id: str = ""
    latency_us: int = 0
    status: int = 200
    arm: Arm = Arm.CHAMPION

    @property
    def id(self) -> bytes:
        """A UUIDv7 whose random bits are a hash of the event's id: what is imported again has the same."""
        return (self.at_us // 1000).to_bytes(6) + event_mark(self.event_id)

    def invocation(self) -> Invocation:
        return Invocation(
            id=self.id,
            received_at_us=self.at_us,
            status=self.status,
            arm=self.arm,
            latency_us=max(0, self.latency_us),
            content_type=self.content_type[:_LONGEST_HEADER],
            client_request_id=stored_id(self.client_request_id).encode("latin-1")[:_LONGEST_HEADER],
            request=self.request,
            response=self.response,
        )


def stored_id(client_id: str) -> str:
    """Return what the client called a call, as the store has it: in the letters that a header may hold."""
    return client_id.encode("latin-1", "replace").decode("latin-1")


def event_mark(event_id: str) -> bytes:
    """Return the last ten bytes of the id of an event's call: all of it but the time."""
    bits = int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:10])
    high, low = bits >> 64 & 0x0FFF, bits & 0x3FFFFFFFFFFFFFFF
    return ((0x7000 | high) << 64 | 0x8000000000000000 | low).to_bytes(10)
