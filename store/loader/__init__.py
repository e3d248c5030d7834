"""The loader: spools into SQL, exactly once, in a process of its own."""
