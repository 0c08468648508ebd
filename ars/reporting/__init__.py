"""One page about runs: what was trained, how, what came of it, and how it looks."""
