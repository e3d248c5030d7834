"""The command line: one console script, groups that import their room when called."""
