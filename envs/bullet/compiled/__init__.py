"""Whole episodes as machine code, compiled by Numba, through PyBullet's own C functions.

`player` is what others use. `loop` is the episode, `policy` acts in it, `physics` is what a step
asks of the simulation through the functions of `capi`, and `locomotion`, `pendulum` and the others
are the step of one family of robots each. `jit` compiles.
"""
