"""Data quality: what is wrong with the rows themselves, against signature and reference."""
