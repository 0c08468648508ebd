"""Whole episodes as machine code, compiled by Numba, through PyBullet's own C functions.

    player      the interface for other packages
    loop        the loop over an episode
    policy      the policy's action
    physics     simulation commands and arithmetic shared by all families
    capi        PyBullet's C functions
    jit         compilation

Each remaining module contains the step of one family of robots.
"""
