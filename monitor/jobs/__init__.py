"""The scheduled jobs and when they run."""
