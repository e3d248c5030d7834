"""Who answers a request where more than one version may: the champion, or for a share of requests the canary."""

import hashlib
from dataclasses import dataclass
from typing import Self

from driftline.scorer.asgi_types import Headers
from driftline.scorer.served_model import ServedModel
from driftline.store.errors import ConfigurationError

_POINTS = 1 << 32


@dataclass(frozen=True, slots=True)
class CanaryOption:
    """What ``--canary URI=10%`` says: the model, and the share of requests that it answers, from 0 to 1."""

    uri: str
    share: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``URI=10%`` or ``URI=0.1``.

        Raises:
            ConfigurationError: there is no share, or it is not between 0 and 100 %.
        """
        uri, _, number = text.rpartition("=")
        try:
            share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not uri or not 0 <= share <= 1:
            raise ConfigurationError(
                f"a canary is a model and its share of the requests, found {text!r}: write `--canary URI=10%`"
            )
        return cls(uri, share)


class Canary:
    """Takes its share of the requests.

    Args:
        model: what it answers with; may be replaced at any time.
        share: from 0 to 1.
        header: requests with the same value in it go the same way, in every worker and after every restart; empty
            for none. A request without it goes by its own id.
    """

    def __init__(self, model: ServedModel, share: float, header: str) -> None:
        self.model = model
        self._below = round(share * _POINTS)
        self._header = header.lower().encode("latin-1")

    def takes(self, headers: Headers, invocation_id: bytes) -> bool:
        """Return whether the canary answers the request."""
        if self._header:
            for name, value in headers:
                if name == self._header:
                    return int.from_bytes(hashlib.blake2b(value, digest_size=4).digest()) < self._below
        # Random bits of the id; not those that the sample of raw bodies goes by, or it would hold this arm alone.
        return int.from_bytes(invocation_id[9:13]) < self._below
