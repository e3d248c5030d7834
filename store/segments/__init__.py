"""Rows by the values of a column that the user names: settings, counted hours, windows, verification."""
