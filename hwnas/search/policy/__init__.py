"""Reinforcement learning: a policy, or the value of each decision, learned from rewards."""
