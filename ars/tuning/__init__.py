"""`ars tune`: search for settings, with Optuna as the searcher and a process for each seed."""
