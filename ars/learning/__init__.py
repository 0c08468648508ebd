"""The arithmetic of learning.

A multi-layer perceptron is implemented five times, each time for what no other version offers:

    policies.mlp               exact: float64 sums in index order and libm's functions, so that an
                               action has the same bits everywhere, without torch
    envs.bullet.compiled.loop  the same bits in machine code, an episode at a time
    policies.networks          a torch module: convolutions, GPUs, autograd, export
    ars.learning.inference     float32 NumPy on the module's memory: acts in a fraction of its time
    ars.learning.backprop      hand-written forward and backward passes, with the same bits as
                               autograd in a fraction of its time

The last two cannot be one: NumPy's matrix products and tanh differ from torch's in the last bits.
`scripts/bench_learning.py` measures both fractions.
"""
