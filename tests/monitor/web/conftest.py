"""Fixtures of the pages' tests."""

from site_rig import serve, site

__all__ = ["serve", "site"]
