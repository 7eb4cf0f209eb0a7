"""Training loops in torch."""
