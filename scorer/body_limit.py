"""The body of one request, as far as the limit.

Invariants
----------
- A body that declares more than the limit is refused before a byte of it is read; one that declares nothing is cut off
  when it exceeds the limit. No more than the limit and one read of the server's (64 KiB) is ever held.
- Who reads on after the limit is told that the client is gone.
"""

from driftline.scorer.asgi_types import Headers, Message, Receive


class LimitedBody:
    """A ``receive`` with an end.

    Args:
        headers: of the request.
        receive: the server's.
        max_bytes: the limit; 0 is none.

    Attributes:
        too_large: it is known by now that the body exceeds the limit.
        receive: hand this to whoever reads the body.
    """

    __slots__ = ("_left", "_receive", "receive", "too_large")

    def __init__(self, headers: Headers, receive: Receive, max_bytes: int) -> None:
        self._receive = self.receive = receive
        self._left = max_bytes
        self.too_large = False
        if not max_bytes:
            return
        for name, value in headers:  # a request that declares neither has no body
            if name == b"content-length":
                # The server's parser has seen that it is a number, and gives no more than that.
                self.too_large = int(value) > max_bytes
            elif name == b"transfer-encoding":
                self.receive = self._counted

    async def _counted(self) -> Message:
        if self.too_large:
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                self.too_large = True
                return {"type": "http.disconnect"}
        return message
