"""How well a model does: on rows whose labels came, against what it did on its reference."""
