"""Requests per second and caller, as token buckets.

Invariants
----------
- A caller gets ``burst`` requests at once and ``per_second`` in the long run, whatever others do.
- Memory is bounded: the bucket that was used longest ago makes room. A caller whose bucket went begins with a full one.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

_BUCKETS = 10_000
_IPV6_NETWORK_BITS = 64  # what one subscriber gets: addresses within cost nothing


class RateLimit:
    """The buckets of one worker.

    Args:
        per_second: requests that flow back into a bucket.
        burst: requests in a full bucket; 0 means those of one second, at least one.
        clock: seconds that only grow.
        buckets: callers that are remembered.
    """

    def __init__(
        self,
        per_second: float,
        burst: int = 0,
        clock: Callable[[], float] = time.monotonic,
        buckets: int = _BUCKETS,
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst or max(1.0, per_second))
        self._clock = clock
        self._buckets = buckets
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, and when it was that

    def wait_seconds(self, caller: str) -> float:
        """Take one request out of the caller's bucket and return 0, or how long until there is one to take."""
        now = self._clock()
        level, at = self._levels.pop(caller, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_second)
        taken = level >= 1
        self._levels[caller] = (level - 1 if taken else level, now)
        if len(self._levels) > self._buckets:
            self._levels.popitem(last=False)
        return 0.0 if taken else (1 - level) / self._per_second


def network(address: str) -> str:
    """Return what counts as one caller: an IPv4 address, or the network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address, _IPV6_NETWORK_BITS), strict=False))
    except ValueError:
        return address
