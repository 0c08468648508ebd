"""Robots simulated by PyBullet.

`client` keeps PyBullet quiet, `base` holds what all environments share, `renderer` takes the
pictures, `robots` holds the numbers of those that run, `compiled` plays whole episodes as machine
code, and each remaining module is a family of robots.
"""
