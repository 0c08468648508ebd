"""How environments are drawn: on a canvas, in a window, from above; and whether they can be."""
