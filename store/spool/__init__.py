"""The local spool: a ring in memory, a writer thread, append-only segments on disk."""
