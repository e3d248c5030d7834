"""A request to speak WebSocket: the server behind is asked, and what it answers instead is passed on.

MLflow's server refuses (403). One that agrees is told nothing: this proxy passes no WebSocket on.
"""

from driftline.scorer.asgi_types import Message, Scope, Send
from driftline.scorer.proxy.faults import UpstreamError
from driftline.scorer.proxy.headers import end_to_end, request_head
from driftline.scorer.proxy.passage import Witness
from driftline.scorer.proxy.upstream import Upstream

_UPGRADE = ((b"connection", b"Upgrade"), (b"upgrade", b"websocket"))
_SWITCHING, _REFUSED = 101, 501


async def pass_handshake(scope: Scope, send: Send, upstream: Upstream, witness: Witness) -> None:
    """Answer the handshake as the server behind does, with 501 where that agrees."""
    try:
        start, body = await _ask(scope, upstream)
    except UpstreamError as error:
        witness.failed(error)
        start, body = error.start(), error.body
    await witness.over(start["status"], True)
    await send({**start, "type": "websocket.http.response.start"})
    await send({"type": "websocket.http.response.body", "body": body})


async def _ask(scope: Scope, upstream: Upstream) -> tuple[Message, bytes]:
    connection = await upstream.connection()
    try:
        connection.begin("GET")
        connection.write(request_head(scope, False, _UPGRADE))
        status, headers = await connection.head()
        if status == _SWITCHING:
            return {"status": _REFUSED, "headers": [(b"content-length", b"0")]}, b""
        parts, more = [], True
        while more:
            part, more = await connection.part()
            parts.append(part)
        return {"status": status, "headers": end_to_end(headers)}, b"".join(parts)
    finally:
        connection.close()
