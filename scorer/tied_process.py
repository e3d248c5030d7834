"""Run a program that is asked to end when its parent ends: ``python -m driftline.scorer.tied_process PID PROGRAM ...``.

MLflow ties uvicorn to its command line in the same way (``PR_SET_PDEATHSIG``). A program in between, and not a
function between fork and exec: the parent has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie_to_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the parent dies; end now if it is dead already. Other systems: nothing."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Tie, then become the program; the tie survives ``exec``."""
    tie_to_parent(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - an argument list of our own, no shell


if __name__ == "__main__":
    main()
