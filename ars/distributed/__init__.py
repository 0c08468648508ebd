"""Rollouts on Ray, which nothing else in the toolkit imports."""
