"""Mergeable statistics of columns on bins fixed by the reference."""
