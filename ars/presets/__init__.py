"""Settings known to work, one file per algorithm.

A preset is used if it has the environment's name, or by `--preset NAME`. It may also hold settings
of the run, such as `total_timesteps` or `seed`.
"""
