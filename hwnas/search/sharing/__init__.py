"""Weight sharing: one training serves all networks of the space."""
