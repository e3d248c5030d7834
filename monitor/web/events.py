"""``POST /ingest/cloudevents``: the events of KServe's and Seldon's loggers, one at a time or in batches.

A request is taken whole or not at all, and 200 says that its events are in the store. The answer has no body, as
brokers take one for another event; and it is 200 because KServe's logger takes anything else for an error. Pages of
other sites cannot send the headers or the types that are asked for here without being asked for permission first.
"""

from typing import IO

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.web.posted import TooLarge, refusal, whole_body
from driftline.store.engine import writing
from driftline.store.imports import events, waiting
from driftline.store.imports.events import EventHalf, RefusedEvent
from driftline.store.imports.fates import Fate
from driftline.store.imports.settings import Served
from driftline.store.records import now_us

_AT_A_TIME = 4  # bodies that are read: each may take a multiple of its bytes in memory
_STATUS = {Fate.MALFORMED: 400, Fate.NO_MODEL: 422}


class EventDoor:
    """The route; ``post`` takes a body."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._settings = context.imports
        self._turns = anyio.CapacityLimiter(_AT_A_TIME)

    async def post(self, request: Request) -> Response:
        """Keep the events until they are paired."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        known = kind in (events.STRUCTURED, events.BATCH) or "ce-type" in request.headers
        if not known or request.headers.get("content-encoding", "identity") != "identity":
            return refusal(
                415,
                f"events should come with `ce-` headers, as {events.STRUCTURED} or as {events.BATCH}, not compressed",
            )
        if self._context.redaction is not None:
            return refusal(409, "events hold what [redaction] does not let be kept: they are not taken where it is set")
        try:
            async with whole_body(request, self._settings.max_body_bytes, self._context.home) as body:
                return await anyio.to_thread.run_sync(self._take, request, kind, body, limiter=self._turns)
        except TooLarge:
            return refusal(413, "these are more bytes than max_body_bytes in [imports] allows: send fewer at once")

    def _take(self, request: Request, kind: str, body: IO[bytes]) -> Response:
        try:
            halves = _halves(request, kind, body.read())
            taken = [(half, self._served(half)) for half in halves if half is not None]
        except RefusedEvent as error:
            with writing(self._context.engine) as connection:
                waiting.count_fates(connection, {("", error.fate): 1})
            return refusal(_STATUS[error.fate], str(error))
        waiting.stage(self._context.engine, taken, len(halves) - len(taken))
        return Response()

    def _served(self, half: EventHalf) -> Served:
        served = self._settings.served(half)
        if served is None:
            raise RefusedEvent(
                Fate.NO_MODEL, "[imports] models names no model for this inferenceservicename: add `SERVICE=URI`"
            )
        return served


def _halves(request: Request, kind: str, body: bytes) -> list[EventHalf | None]:
    at_us = now_us()
    if kind == events.BATCH:
        return events.batched_halves(body, at_us)
    if kind == events.STRUCTURED:
        return [events.structured_half(events.document(body), at_us)]
    return [events.binary_half(request.headers, body, at_us)]
