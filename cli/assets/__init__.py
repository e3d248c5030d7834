"""``driftline assets``: what lies beside the product for Prometheus, Alertmanager and Grafana."""
