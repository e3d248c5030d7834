"""The HTTP listener of the monitor: metrics, health, status page."""
