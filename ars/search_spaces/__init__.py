"""What `ars tune` searches, one file per algorithm: the settings and the range of each.

A search space is a function of a `Search`, which suggests values, to settings of the algorithm by
name. The ranges are wide: a search knows nothing of presets.
"""
