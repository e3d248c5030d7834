"""Where the server behind the proxy listens."""

import ssl
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from driftline.store.errors import ConfigurationError

_UNIX = "unix:"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """A host and a port, or a Unix socket.

    Attributes:
        socket: path of a Unix socket; empty where there is a host.
        tls: whether it speaks HTTPS; its certificate is checked by what the system trusts (``SSL_CERT_FILE``).
    """

    host: str = ""
    port: int = 0
    socket: str = ""
    tls: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the address.

        Raises:
            ConfigurationError: it is none, or names more than a server.
        """
        if not text:
            raise ConfigurationError("no server to stand in front of: name it with `--upstream http://127.0.0.1:5000`")
        if text.startswith(_UNIX) and len(text) > len(_UNIX):
            return cls(socket=text.removeprefix(_UNIX))
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise _no_address() from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise _no_address()
        if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username:
            raise ConfigurationError(
                "`--upstream` names more than a server: leave out path, query and user, which requests bring themselves"
            )
        return cls(parts.hostname, port or _PORTS[parts.scheme], tls=parts.scheme == "https")

    def context(self) -> ssl.SSLContext | None:
        """Return the client's side of TLS, None where the server speaks plain HTTP."""
        return ssl.create_default_context() if self.tls else None

    def __str__(self) -> str:
        return f"{_UNIX}{self.socket}" if self.socket else f"http{'s' if self.tls else ''}://{self.host}:{self.port}"


def _no_address() -> ConfigurationError:
    return ConfigurationError(
        "`--upstream` should be the server to stand in front of, such as `http://127.0.0.1:5000` or "
        "`unix:/run/model.sock`, and is not: correct it"
    )
