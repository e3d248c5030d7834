"""Serve a model as MLflow does and tee every invocation to the spool."""
