"""Robots simulated by PyBullet.

`client` keeps PyBullet quiet, `base` holds what every world shares, `camera` takes the pictures,
and each remaining module is a family of robots.
"""
