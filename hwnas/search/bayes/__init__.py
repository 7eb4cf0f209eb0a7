"""Model-based strategies: Bayesian optimisation and its kin."""
