"""Ask another model version what it would have answered, and compare."""
