"""Whole episodes as machine code, compiled by Numba, through PyBullet's own C functions.

`loop` is the episode, `physics` what it asks of the simulation, and `locomotion`, `pendulum` ...
what a step is worth, for one family of robots each. `player` is how to get at them.
"""
