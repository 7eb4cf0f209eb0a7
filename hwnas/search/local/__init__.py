"""Local search strategies."""
