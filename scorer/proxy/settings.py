"""How the proxy works: the section ``[proxy]``."""

from dataclasses import dataclass

from driftline.store.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """The section ``[proxy]``; listeners, tokens, rates and TLS are those of ``[scorer]``.

    Attributes:
        upstream: the server behind: ``http://host:port``, ``https://host:port`` or ``unix:/path/of/socket``.
        connect_seconds: how long a connection to it may take to be made.
        silence_seconds: how long it may say nothing while it is expected to; then the client is answered with 504. 0
            waits for ever. MLflow's server answers its own 504 after 60 s, which is to come first.
        idle_seconds: how long a connection may wait for its next request; less than the server behind keeps it.
        kept_body_bytes: larger requests and answers pass as any do, and are recorded without their bodies.
        max_body_bytes: a larger request is answered with 413; 0 passes any on.
    """

    upstream: str = ""
    connect_seconds: float = 5.0
    silence_seconds: float = 90.0
    idle_seconds: float = 1.5
    kept_body_bytes: int = 16 << 20
    max_body_bytes: int = 0

    def __post_init__(self) -> None:
        if self.connect_seconds <= 0:
            raise ConfigurationError(f"proxy.connect_seconds should be above 0, found {self.connect_seconds}")
        for name in ("silence_seconds", "idle_seconds", "kept_body_bytes", "max_body_bytes"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"proxy.{name} should not be negative, found {getattr(self, name)}")
