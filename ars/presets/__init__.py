"""Settings known to work, one file an algorithm.

A preset is taken when its name is the environment's, or by `--preset NAME`. It may also hold
settings of the run, such as `total_timesteps` or `seed`.
"""
