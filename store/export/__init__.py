"""History as partitioned Parquet: for what one machine's SQL is too small."""
