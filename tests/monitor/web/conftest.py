"""Fixtures of the pages' tests."""

from site_rig import locked, serve, site

__all__ = ["locked", "serve", "site"]
