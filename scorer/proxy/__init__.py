"""``driftline proxy``: every request passes to a server that stays, and what passes its scoring path is kept."""
