"""Profilers, one a file."""
