"""Invocations that were captured elsewhere: SageMaker's files, KServe's and Seldon's events."""
