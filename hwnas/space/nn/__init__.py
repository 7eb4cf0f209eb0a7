"""Torch modules built from graphs."""
