"""Robots simulated by PyBullet.

    client      imports PyBullet, and keeps it quiet
    base        the base class of all environments
    renderer    images and windows
    robots      the parameters of the running robots
    compiled/   whole episodes in compiled code

Each remaining module is a family of robots.
"""
