"""Fixtures of the command line's tests."""

from monitor_rig import sqlite_context, template, tiny, tracking

__all__ = ["sqlite_context", "template", "tiny", "tracking"]
