"""What ends a passage early: the server behind gives no answer, or the client waits no longer."""

import json

from driftline.scorer.asgi_types import Message
from driftline.scorer.tally import UpstreamFault

_TOLD: dict[UpstreamFault, tuple[int, str, str]] = {
    "refused": (502, "TEMPORARILY_UNAVAILABLE", "The server behind this proxy takes no connection: is it running?"),
    "timeout": (504, "DEADLINE_EXCEEDED", "The server behind this proxy did not answer in time."),
    "broken": (502, "TEMPORARILY_UNAVAILABLE", "The server behind this proxy ended the connection without an answer."),
    "invalid": (502, "INTERNAL_ERROR", "What the server behind this proxy answered is no HTTP."),
}


class ClientGone(Exception):
    """The client closed its connection before its answer was whole."""


class UpstreamError(Exception):
    """The server behind gave no answer, or not a whole one."""

    def __init__(self, fault: UpstreamFault) -> None:
        super().__init__(fault)
        self.fault = fault
        self.status, code, message = _TOLD[fault]
        self.body = json.dumps({"error_code": code, "message": message}).encode()

    def start(self) -> Message:
        """Return the head of the proxy's own answer."""
        headers = [(b"content-length", str(len(self.body)).encode()), (b"content-type", b"application/json")]
        return {"type": "http.response.start", "status": self.status, "headers": headers}
