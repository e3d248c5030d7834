"""What jobs leave in the store and others read there."""
