"""Prometheus rules and the Alertmanager configuration."""
