"""What both sides of driftline share: records, spool, profiles, schema, loader, reads."""
