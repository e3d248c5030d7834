"""``POST /labels``: labels in bulk, as JSON, JSON lines or CSV.

Only types are taken that no page of another site can send without being asked for permission first, so a browser that
knows the password cannot be made to post.
"""

from dataclasses import replace
from typing import IO, cast, get_args

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from driftline.monitor.jobs.job import JobContext
from driftline.monitor.web import answers
from driftline.monitor.web.posted import TooLarge, refusal, whole_body
from driftline.store.errors import ConfigurationError
from driftline.store.labels.formats import READERS, UnreadableLabels
from driftline.store.labels.loading import load_labels
from driftline.store.labels.record import REJECTS, Fate, Fields
from driftline.store.labels.settings import RepeatedKeys

_KINDS = {"application/json": "json", "application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "text/csv": "csv"}
_FIELDS = ("request_id", "row", "label", "event_time")  # the query may call them something else
_QUERY = ("model", "key_column", "repeated_keys", *_FIELDS)


class LabelDoor:
    """The route; ``post`` takes a body."""

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._settings = context.labels
        self._redaction = context.redaction

    async def post(self, request: Request) -> Response:
        """Load the body's labels; answer how many met which fate."""
        kind = _KINDS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
        if kind is None or request.headers.get("content-encoding", "identity") != "identity":
            return refusal(
                415, f"labels should come as one of {', '.join(_KINDS)}, not compressed: say so in Content-Type"
            )
        try:
            async with whole_body(request, self._settings.max_body_bytes, self._context.home) as body:
                return await run_in_threadpool(self._load, request, kind, body)
        except TooLarge:
            return refusal(413, "these are more bytes than max_body_bytes in [labels] allows: send them in parts")

    def _load(self, request: Request, kind: str, body: IO[bytes]) -> Response:
        query = request.query_params
        if unknown := set(query) - set(_QUERY):
            return refusal(400, f"{sorted(unknown)[0]!r} is no parameter here: known are {', '.join(_QUERY)}")
        model, settings = query.get("model", ""), self._settings
        repeated = query.get("repeated_keys", settings.repeated_keys)
        if repeated not in get_args(RepeatedKeys):
            return refusal(400, "repeated_keys should be reject, newest or all")
        settings = replace(settings, repeated_keys=cast(RepeatedKeys, repeated))
        fields = Fields(**{name: query.get(name, name) for name in _FIELDS},
                        key=query.get("key_column", settings.key_column_of(model)))  # fmt: skip
        try:
            records = READERS[kind](body, fields.label)
            records = map(self._redaction.label, records) if self._redaction else records
            report = load_labels(self._context.engine, settings, records, fields, model)
        except (UnreadableLabels, ConfigurationError) as error:
            return refusal(400, str(error))
        fates = {fate.value: report.fates[fate] for fate in Fate if report.fates[fate]}
        rejected = sum(report.fates[fate] for fate in REJECTS)
        return answers.document({"received": report.received, "rejected": rejected, "fates": fates})
