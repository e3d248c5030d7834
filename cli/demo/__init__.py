"""The demo: real data, real servers, the commands a user would type."""
