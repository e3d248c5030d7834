"""Fixtures of the monitor's tests."""

from monitor_rig import context, sqlite_context, template, tiny, tracking

__all__ = ["context", "sqlite_context", "template", "tiny", "tracking"]
