"""Performance estimation strategies, one a file."""
