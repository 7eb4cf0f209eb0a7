"""The five stages, one a file."""
