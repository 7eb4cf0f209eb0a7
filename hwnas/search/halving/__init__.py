"""Multi-fidelity strategies."""
