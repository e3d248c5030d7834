"""The weekly report: Evidently in a subprocess, logged to MLflow."""
