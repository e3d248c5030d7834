"""What becomes an invocation of what passes the scoring path.

Invariants
----------
- An invocation is in the spool before the end of its answer leaves.
- No more of a body is kept than the limit; a larger one is recorded as none, and counted.
- What the client was not answered, because it went, is recorded under status 499; a request that never came whole and
  got no answer is not recorded.
"""

import time
from dataclasses import dataclass

from driftline.scorer.answers import answer_rows, rejection
from driftline.scorer.asgi_types import Headers, Scope
from driftline.scorer.proxy.faults import UpstreamError
from driftline.scorer.redacted_bodies import Bodies, RedactedBodies, kept_bodies
from driftline.scorer.request_count import RequestCount
from driftline.scorer.tally import Tally
from driftline.scorer.tee import Tee
from driftline.store.payload.body_parser import WITHHELD
from driftline.store.records import Arm, Invocation, invocation_id_text, new_invocation_id, now_us

_REQUEST_ID = b"x-request-id"


@dataclass(frozen=True, slots=True)
class ProxiedModel:
    """The model that the server behind serves.

    Attributes:
        headers: what answers say of it.
        kept_body_bytes: of a larger body nothing is kept.
        redacted: makes bodies such as may be recorded; None where all may be.
    """

    tee: Tee
    tally: Tally
    headers: Headers
    kept_body_bytes: int
    redacted: RedactedBodies | None = None


class BodyCopy:
    """A copy of a body, as far as the limit."""

    __slots__ = ("_left", "_parts", "too_large")

    def __init__(self, max_bytes: int) -> None:
        self._parts: list[bytes] = []
        self._left = max_bytes
        self.too_large = False

    def add(self, part: bytes) -> None:
        self._left -= len(part)
        if self._left >= 0:
            self._parts.append(part)
        elif not self.too_large:
            self.too_large = True
            self._parts.clear()

    def whole(self) -> bytes:
        """Return the body, empty where it was too large."""
        return b"".join(self._parts)


class Counter:
    """Counts a request that is no invocation."""

    def __init__(self, model: ProxiedModel, count: RequestCount) -> None:
        self._model = model
        self._count = count

    def asked(self, part: bytes) -> None:
        pass

    def answering(self, headers: list[tuple[bytes, bytes]]) -> Headers:
        return ()

    def answered(self, part: bytes) -> None:
        pass

    async def over(self, status: int, request_whole: bool) -> None:
        self._count.finish(status)

    def failed(self, error: UpstreamError) -> None:
        self._model.tally.upstream_failed(error.fault)


class Recorder(Counter):
    """Counts and records an invocation."""

    def __init__(self, scope: Scope, model: ProxiedModel, count: RequestCount) -> None:
        super().__init__(model, count)
        self._received_at_us = now_us()
        self._begin_ns = time.perf_counter_ns()
        self._id = new_invocation_id(self._received_at_us)
        self._is_head = scope["method"] == "HEAD"
        self._content_type = _first(scope["headers"], b"content-type")
        self._client_request_id = _first(scope["headers"], _REQUEST_ID)
        self._request = BodyCopy(model.kept_body_bytes)
        self._response = BodyCopy(model.kept_body_bytes)

    def asked(self, part: bytes) -> None:
        self._request.add(part)

    def answering(self, headers: list[tuple[bytes, bytes]]) -> Headers:
        own = invocation_id_text(self._id).encode()
        added = [(b"x-driftline-invocation-id", own), *self._model.headers]
        if not any(name == _REQUEST_ID for name, _ in headers):  # else the server behind has said it
            added.insert(0, (_REQUEST_ID, self._client_request_id or own))
        return added

    def answered(self, part: bytes) -> None:
        self._response.add(part)

    async def over(self, status: int, request_whole: bool) -> None:
        await self._record(status, request_whole)
        self._count.finish(status)

    async def _record(self, status: int, request_whole: bool) -> None:
        tally, tee = self._model.tally, self._model.tee
        begin = time.perf_counter_ns()
        answer = self._response.whole()

        asked = self._request.whole() if request_whole else b""
        kept = await kept_bodies(self._model.redacted, status, Bodies(self._content_type, asked, answer))

        seq = tee.record(
            Invocation(
                id=self._id,
                received_at_us=self._received_at_us,
                status=status,
                arm=Arm.CHAMPION,
                latency_us=(begin - self._begin_ns) // 1000,
                content_type=kept.content_type,
                client_request_id=self._client_request_id,
                request=kept.request,
                response=b"" if self._is_head else kept.response,
            )
        )
        if kept.response is WITHHELD:
            tally.withheld()
        for body in (self._request, self._response):
            if body.too_large:
                tally.uncopied()
        if 200 <= status < 300:
            tally.predicted(0 if self._response.too_large else answer_rows(answer), self._received_at_us)
        elif reason := rejection(status, answer):
            tally.rejected(reason)
        if tee.waits_for_disk:
            await tee.durable(seq)
        tally.took("tee", (time.perf_counter_ns() - begin) // 1000)


def _first(headers: Headers, wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"")
