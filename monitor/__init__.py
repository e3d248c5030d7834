"""Judge what was scored against what was trained on, and say so in metrics, pages, MLflow and reports."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline.monitor.training.reference import log_reference

__all__ = ["log_reference"]


def __getattr__(name: str) -> Any:
    """Import ``log_reference`` when it is first used: training code pays for it, the command line does not."""
    if name != "log_reference":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from driftline.monitor.training.reference import log_reference

    return log_reference
