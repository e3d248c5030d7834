"""One request to ``/invocations`` and its answer, which is held until it is whole and recorded.

Invariants
----------
- The answer is MLflow's: from its application, or the same bytes from the fast path, which hands over whatever it does
  not take. Two headers are added.
- An invocation is in the spool before the first byte of its answer leaves.
- A request whose body never arrived whole has no answer and is not recorded.
- Applications get a copy of the scope: they note themselves in it, and the server keeps it as long as the connection,
  which would keep a version alive that was replaced.
- A request is worked on only while it holds a place in the pool; where there is none, it is refused and recorded.
"""

import time

from driftline.scorer.answers import answer_rows, rejection
from driftline.scorer.asgi_types import Headers, Message, Receive, Scope, Send
from driftline.scorer.door import Refusal
from driftline.scorer.redacted_bodies import Bodies, kept_bodies
from driftline.scorer.request_count import RequestCount
from driftline.scorer.scored import Scored
from driftline.scorer.served_model import ServedModel
from driftline.scorer.time_limit import Deadline
from driftline.store.payload.body_parser import WITHHELD
from driftline.store.records import invocation_id_text, new_invocation_id, now_us
from driftline.store.spool.record import Kind

_BODY, _TYPED = Kind.INVOCATION, Kind.TYPED  # an enumeration takes as long to name a member as a record to copy
# What uvicorn sends itself when the application ends without an answer.
SERVER_ERROR = (500, b"Internal Server Error")
_JSON = b"application/json"
_JSON_TYPES = (_JSON, b"application/json; charset=utf-8", b"application/json;charset=utf-8")
_TIMEOUT_BODY = b"Request processing time exceeded limit"  # MLflow's words
_OVERLOAD = Refusal(
    503,
    "overload",
    "TEMPORARILY_UNAVAILABLE",
    "More requests wait for a prediction than this server keeps: try again in 1 s.",
    ((b"retry-after", b"1"),),
)


class Exchange:
    """Answers one request with ``served``.

    Args:
        id_: of the invocation; None makes a new one.
        count: told of the answer before it leaves; None where requests are not counted.

    Attributes:
        scored_body: what the model was given; None where the request was refused, or never arrived whole.
    """

    __slots__ = (
        "_abandoned", "_answer", "_begin_ns", "_client_request_id", "_content_type", "_count", "_deadline", "_left",
        "_method", "_receive", "_received_at_us", "_request", "_scope", "_scored", "_send", "_served", "_start",
        "_whole", "id", "scored_body",
    )  # fmt: skip

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        served: ServedModel,
        id_: bytes | None = None,
        count: RequestCount | None = None,
    ) -> None:
        self._received_at_us = now_us()
        self._begin_ns = time.perf_counter_ns()
        self.id = id_ or new_invocation_id(self._received_at_us)
        self.scored_body: bytes | None = None
        self._content_type, self._client_request_id = _headers(scope["headers"])
        self._method: str = scope["method"]
        self._scope = scope
        self._receive = receive
        self._send = send
        self._served = served
        self._count = count
        self._request: list[bytes] = []
        self._whole = self._abandoned = self._left = False
        self._start: Message | None = None
        self._answer: list[bytes] = []
        self._scored: Scored | None = None
        self._deadline: Deadline | None = None

    async def run(self) -> None:
        try:
            if self._method == "POST":
                await self._in_time()
            else:
                await self._served.app({**self._scope}, self._read, self._write)
        except BaseException:
            if not self._left and not self._abandoned:
                await self._record(*SERVER_ERROR)
            raise

    async def refuse(self, refusal: Refusal) -> None:
        """Answer without the model; what was read of the body is not kept."""
        if not self._left:
            self._request, self._abandoned, self._deadline = [], False, None
            self.scored_body = None
            await self._leave(refusal.start(self._scope), refusal.body)

    async def _in_time(self) -> None:
        """Hold the whole exchange, handed over or not, to the timeout that MLflow's application has."""
        try:
            with self._served.time_limit.start() as self._deadline:
                while not self._whole:
                    await self._read()
                    if self._abandoned:
                        return
                await self._score(b"".join(self._request))
        except TimeoutError:
            if self._deadline is None or not self._deadline.expired or self._left:
                raise
            await self._answer_json(504, _TIMEOUT_BODY)

    async def _score(self, body: bytes) -> None:
        place = self._served.pool.admit()
        if place is None:
            await self._leave(_OVERLOAD.start(self._scope), _OVERLOAD.body)
            return
        try:
            self._request = [body]
            self.scored_body = body
            predictor = self._served.predictor
            if predictor is not None and self._content_type in _JSON_TYPES:
                self._scored = await predictor.answer(body, place)
            if self._scored is None:
                place.lend()
                await self._served.app({**self._scope}, self._read_again(body), self._write)
            else:
                await self._answer_json(200, self._scored.body)
        finally:
            place.release()

    async def _answer_json(self, status: int, body: bytes) -> None:
        headers = [(b"content-length", str(len(body)).encode()), (b"content-type", _JSON)]
        await self._leave({"type": "http.response.start", "status": status, "headers": headers}, body)

    async def _read(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._request.append(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        elif message["type"] == "http.disconnect":
            self._abandoned = not self._whole
        return message

    def _read_again(self, body: bytes) -> Receive:
        """Return a ``receive`` that gives the body once more and then what the client does next."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return await self._receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    async def _write(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._answer.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._leave(self._start, b"".join(self._answer))
        else:
            await self._send(message)

    async def _leave(self, start: Message, body: bytes) -> None:
        if self._abandoned:
            return  # nobody reads what the application says to that
        self._left = True
        if self._deadline is not None and not self._deadline.expired:
            self._deadline.lift()  # what is left is our own: the record and the sending
        await self._record(start["status"], body)
        own = invocation_id_text(self.id).encode()
        added = ((b"x-request-id", self._client_request_id or own), (b"x-driftline-invocation-id", own))
        await self._send({**start, "headers": [*start["headers"], *added, *self._served.headers]})
        if self._count is not None:
            self._count.finish(start["status"])
        await self._send({"type": "http.response.body", "body": body})

    async def _record(self, status: int, body: bytes) -> None:
        scored = self._scored
        typed_rows = scored.typed_rows if scored and status == 200 else None
        content_type = self._content_type
        request = b"".join(self._request) if typed_rows is None else typed_rows
        response = b"" if self._method == "HEAD" else body
        if self._served.redacted is not None:
            came = Bodies(content_type, request, response)
            content_type, request, response = await kept_bodies(self._served.redacted, status, came)
            if response is WITHHELD:
                self._served.tally.withheld()

        tally, tee = self._served.tally, self._served.tee
        begin = time.perf_counter_ns()
        stages = (scored.parse_us, scored.predict_us, scored.encode_us) if scored else (0, 0, 0)
        latency_us = (begin - self._begin_ns) // 1000
        seq = tee.record(
            (
                self.id, self._received_at_us, status, self._served.arm, latency_us, content_type,
                self._client_request_id, request, response, *stages,
            ),
            _BODY if typed_rows is None else _TYPED,
        )  # fmt: skip
        if 200 <= status < 300:
            tally.predicted(scored.rows if scored else answer_rows(body), self._received_at_us)
        elif reason := rejection(status, body):
            tally.rejected(reason)
        if tee.waits_for_disk:
            await tee.durable(seq)
        tally.took("tee", (time.perf_counter_ns() - begin) // 1000)
        if scored:
            tally.took("parse", scored.parse_us)
            tally.took("predict", scored.predict_us)
            tally.took("encode", scored.encode_us)


def _headers(headers: Headers) -> tuple[bytes, bytes]:
    """Return the first content type and the first request id that the client sent, empty where there is none."""
    content_type = client_request_id = None
    for name, value in headers:
        if name == b"content-type" and content_type is None:
            content_type = value
        elif name == b"x-request-id" and client_request_id is None:
            client_request_id = value
    return content_type or b"", client_request_id or b""
