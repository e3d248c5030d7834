"""What the monitor exports for Prometheus."""
