"""Rollouts on Ray: nothing else in the toolkit imports it."""
