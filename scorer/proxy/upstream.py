"""The server behind the proxy, and the connections to it that wait for their next request.

A connection that waits longer than the server behind keeps it would be closed just as a request goes out on it, and
nobody could say whether the request was read; so it is given up first, and no request is ever sent twice.
"""

import asyncio

from driftline.scorer.proxy.address import UpstreamAddress
from driftline.scorer.proxy.connection import UpstreamConnection
from driftline.scorer.proxy.faults import UpstreamError
from driftline.scorer.proxy.settings import ProxySettings


class Upstream:
    """Connections of one worker; the newest is used first, so that those of a busy hour end after it."""

    def __init__(self, settings: ProxySettings) -> None:
        self.address = UpstreamAddress.parse(settings.upstream)
        self._settings = settings
        self._tls = self.address.context()
        self._idle: list[UpstreamConnection] = []

    async def connection(self) -> UpstreamConnection:
        """Return a connection for one exchange; to be given back by ``release``.

        Raises:
            UpstreamError: none can be made.
        """
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and now - connection.idle_since < self._settings.idle_seconds:
                return connection
            connection.close()
        return await self._connect()

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back, or end it where its exchange did not end well."""
        if not connection.reusable:
            connection.close()
            return
        now = connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
        while now - self._idle[0].idle_since >= self._settings.idle_seconds:
            self._idle.pop(0).close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _connect(self) -> UpstreamConnection:
        loop, address = asyncio.get_running_loop(), self.address

        def make() -> UpstreamConnection:
            return UpstreamConnection(self._settings.silence_seconds)

        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                if address.socket:
                    _, connection = await loop.create_unix_connection(make, address.socket)
                else:
                    _, connection = await loop.create_connection(make, address.host, address.port, ssl=self._tls)
        except TimeoutError:
            raise UpstreamError("timeout") from None
        except OSError:
            raise UpstreamError("refused") from None
        return connection
