"""Scheduled jobs that judge live data against the training reference."""
