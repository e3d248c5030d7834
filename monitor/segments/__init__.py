"""Drift by segment: what is built for it, judged and shown."""
