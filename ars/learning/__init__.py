"""The arithmetic of learning.

A multi-layer perceptron is written down in five forms, each for what no other can give:

    policies.mlp               exact: float64 sums in index order and libm's functions, so that an
                               action is the same bits everywhere, without torch
    envs.bullet.compiled.loop  the same bits as machine code, an episode at a time
    policies.networks          a torch module: convolutions, GPUs, autograd, export
    ars.learning.inference     float32 NumPy on the module's memory: acts in a fraction of its time
    ars.learning.backprop      forward and backward by hand, with the same bits as autograd in a
                               fraction of its time

The last two cannot be one: NumPy's matrix products and tanh differ from torch's in the last bits.
`scripts/bench_learning.py` measures both fractions.
"""
