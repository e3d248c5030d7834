"""Pictures as SVG elements; every text in them is escaped."""
