"""Fixtures of the tests of what other machines can reach."""

from http_surface_rig import surface

__all__ = ["surface"]
