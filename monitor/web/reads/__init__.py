"""What the pages read from the store beyond the shared snapshot; every read is bounded."""
