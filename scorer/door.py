"""What is refused before a model sees it: who has no token, who asks too often, and bodies that are too large.

Invariants
----------
- Every path needs a token where tokens are set, but for the three that tell whether the server lives.
- Who is refused is told why in MLflow's own form of an error, and no value of the request is repeated.
- A door without tokens and without a rate looks at nothing but the size.
"""

import json
import math
from dataclasses import dataclass
from typing import Self

from driftline.scorer.answers import Rejection
from driftline.scorer.asgi_types import Message, Receive, Scope, Send
from driftline.scorer.body_limit import LimitedBody
from driftline.scorer.rate_limit import RateLimit, network
from driftline.scorer.settings import ScorerSettings
from driftline.store.bearer_tokens import BearerTokens

_LIFE_SIGNS = ("/ping", "/health", "/version")
_LIMITED = "/invocations"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of a prediction; ``error_code`` is one of MLflow's where it has a fitting one."""

    status: int
    reason: Rejection
    error_code: str
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def body(self) -> bytes:
        return json.dumps({"error_code": self.error_code, "message": self.message}).encode()

    def start(self, scope: Scope) -> Message:
        """Return the head of the answer.

        What was not read of the body runs by unread, and the connection lives on; but who waits with the body for a
        "100 Continue" is going to keep it, so that connection ends here.
        """
        own = [(b"content-length", str(len(self.body)).encode()), (b"content-type", b"application/json")]
        if any(name == b"expect" for name, _ in scope["headers"]):
            own.append((b"connection", b"close"))
        return {"type": "http.response.start", "status": self.status, "headers": [*own, *self.headers]}

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer without a record of the request, which may be one to speak WebSocket."""
        prefix = "websocket." if scope["type"] == "websocket" else ""
        await send({**self.start(scope), "type": f"{prefix}http.response.start"})
        await send({"type": f"{prefix}http.response.body", "body": self.body})


UNAUTHORIZED = Refusal(
    401,
    "unauthorized",
    "UNAUTHENTICATED",
    "This server answers to known tokens only: send the header `Authorization: Bearer TOKEN`.",
    ((b"www-authenticate", b"Bearer"),),
)


def _too_often(wait_seconds: float) -> Refusal:
    seconds = max(1, math.ceil(wait_seconds))
    return Refusal(
        429,
        "overload",
        "REQUEST_LIMIT_EXCEEDED",
        f"Too many requests from this caller: try again in {seconds} s.",
        ((b"retry-after", str(seconds).encode()),),
    )


class Door:
    """The door of one worker; without arguments it lets everything in."""

    def __init__(
        self,
        tokens: BearerTokens | None = None,
        rate: RateLimit | None = None,
        max_body_bytes: int = 0,
        protect_health: bool = False,
    ) -> None:
        self._tokens = tokens
        self._rate = rate
        self._max_body_bytes = max_body_bytes
        self._open_paths = () if protect_health else _LIFE_SIGNS
        self.too_large = Refusal(
            413,
            "too_large",
            "BAD_REQUEST",
            f"The request's body is larger than the {max_body_bytes} bytes that this server takes: send fewer rows.",
        )

    @classmethod
    def open(cls, settings: ScorerSettings, max_body_bytes: int | None = None) -> Self:
        """Return the door that the settings describe.

        Args:
            max_body_bytes: another limit than theirs.

        Raises:
            ConfigurationError: the token file has no tokens.
        """
        limit = settings.rate_limit_per_second
        return cls(
            BearerTokens(settings.token_file, "--token-file") if settings.token_file else None,
            RateLimit(limit, settings.rate_limit_burst) if limit else None,
            settings.max_body_bytes if max_body_bytes is None else max_body_bytes,
            settings.protect_health,
        )

    def refusal(self, scope: Scope, path: str) -> Refusal | None:
        """Return why this request is turned away, None where it may come in.

        Args:
            scope: of the request.
            path: below the server's root path.
        """
        caller = None
        if self._tokens and path not in self._open_paths:
            headers = scope["headers"]
            caller = self._tokens.holder(next((value for name, value in headers if name == b"authorization"), b""))
            if caller is None:
                return UNAUTHORIZED
        if self._rate and path == _LIMITED:
            wait_seconds = self._rate.wait_seconds(caller or _address(scope))
            if wait_seconds:
                return _too_often(wait_seconds)
        return None

    def body(self, scope: Scope, receive: Receive) -> LimitedBody:
        """Return the request's body, to be read as far as the limit."""
        return LimitedBody(scope["headers"], receive, self._max_body_bytes)


def _address(scope: Scope) -> str:
    """Return the client's address as uvicorn knows it: it reads X-Forwarded-For of trusted proxies only."""
    client = scope.get("client")
    return network(client[0]) if client else "local socket"
