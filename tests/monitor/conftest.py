"""Fixtures of the monitor's tests."""

from mlflow_server_rig import tracking_server
from monitor_rig import context, sqlite_context, template, tiny, tracking

__all__ = ["context", "sqlite_context", "template", "tiny", "tracking", "tracking_server"]
