"""What a version was trained on: its reference, a sample of its rows, and what it relies on."""
