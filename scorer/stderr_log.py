"""Where what driftline says goes in the processes of ``driftline serve``."""

import logging


def log_to_stderr() -> None:
    """Print the lines of the package's log, once each, unless somebody has said where they go."""
    log = logging.getLogger("driftline")
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("driftline: %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
