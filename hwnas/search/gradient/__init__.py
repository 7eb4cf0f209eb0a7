"""Differentiable strategies."""
