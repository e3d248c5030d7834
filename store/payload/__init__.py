"""From raw bodies to typed columns: the fast way for the usual, MLflow's own parser for the rest."""
