"""Tabular methods: a value for each action in each state, planned with a model or learned."""
