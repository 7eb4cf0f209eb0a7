"""Tree search."""
