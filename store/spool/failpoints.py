"""Die at a named step, for the tests that prove that any step may be the last.

``_DRIFTLINE_FAILPOINT=name`` kills the process with SIGKILL the first time it reaches ``name``; ``name:25`` the
25th time. It is no setting, hence the underscore. Callers write ``if ARMED: reached("name")``, which costs one global
look-up when nothing is armed.
"""

import os
import signal

ARMED = os.environ.get("_DRIFTLINE_FAILPOINT", "")
_NAME, _, _COUNT = ARMED.partition(":")
_left = [int(_COUNT or 1)]


def reached(name: str) -> None:
    """Kill this process when ``name`` is armed and has been reached often enough."""
    if name == _NAME:
        _left[0] -= 1
        if _left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
