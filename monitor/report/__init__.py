"""The weekly report: our summary and Evidently's pages, kept in the store and logged to MLflow."""
