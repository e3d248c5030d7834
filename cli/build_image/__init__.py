"""An image that serves one model: its context written, and built where a name is given."""
