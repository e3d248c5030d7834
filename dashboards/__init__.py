"""Grafana dashboards: built by build.py, committed as JSON, provisioned as files."""
