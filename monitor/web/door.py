"""Who may see the pages, where tokens are set: everything needs one but ``/healthz``.

Programs send ``Authorization: Bearer TOKEN``. Browsers ask for a user and a password (HTTP Basic): the token is the
password, the user is not looked at. Nothing is kept between requests, and every page only shows: there is no session
to steal or to forge (record 0010). Labels are posted in types of content that pages of other sites cannot send.
"""

import base64
import binascii

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from driftline.store.bearer_tokens import BearerTokens

_OPEN_PATHS = ("/healthz",)
_BASIC = "basic "


class Door:
    """Lets requests with a known token through to ``app``."""

    def __init__(self, app: ASGIApp, tokens: BearerTokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        presented = bearer(Headers(scope=scope).get("authorization", ""))
        if await run_in_threadpool(self._tokens.holder, presented) is not None:  # it may read the file again
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse(
            "These pages ask for a token: send `Authorization: Bearer TOKEN`, or type it as a browser's password.\n",
            status_code=401,
            headers={"WWW-Authenticate": 'Basic realm="driftline", charset="UTF-8"', "Cache-Control": "no-store"},
        )
        await refusal(scope, receive, send)


def bearer(authorization: str) -> bytes:
    """Return the header as one that holds a bearer token: a password of HTTP Basic is one."""
    if not authorization.lower().startswith(_BASIC):
        return authorization.encode("utf-8", "replace")
    try:
        decoded = base64.b64decode(authorization[len(_BASIC) :].strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return b"Bearer " + decoded.partition(b":")[2]
