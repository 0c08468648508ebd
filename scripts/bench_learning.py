"""Measure the gain from hand-written acting, backpropagation and losses for small networks.

    python scripts/bench_learning.py [--rounds 9]

The network has four inputs, two layers of 64 units (tanh) and two outputs. Each part is timed in
microseconds of CPU time on one thread:

    act        8 observations, in NumPy (`ars.learning.inference`) or by the torch module
    backprop   64 observations forward and backward, by hand (`ars.learning.backprop`) or by
               autograd
    loss       PPO's loss on 256 steps and its gradients with respect to outputs and values, by
               formula (`ars.learning.losses`), by formula with the value of the loss, or by
               autograd

The variants take turns. Prints medians over the rounds, and their ratios to the first variant.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from torch.nn.functional import mse_loss

from ars.learning.backprop import AutogradBackprop, make_backprop
from ars.learning.inference import NetworkInference
from ars.learning.losses import clipped_surrogate_loss, entropy_bonus, squared_loss
from policies import PolicySpec, make_policy
from policies.distributions import Categorical
from policies.networks import PolicyNetwork
from policies.parameters import FlatParameters

Variants = dict[str, Callable[[], object]]
CPU = torch.device("cpu")
CALLS = 300  # per round


def make_spec() -> PolicySpec:
    obs = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
    return make_policy("mlp", obs, gymnasium.spaces.Discrete(2), hidden_sizes=(64, 64)).spec


def acting() -> Variants:
    network = PolicyNetwork(make_spec())
    infer, obs = NetworkInference(network, CPU), np.zeros((8, 4), np.float32)

    def by_module() -> object:
        with torch.inference_mode():
            return network(torch.from_numpy(obs)).numpy()

    return {"NumPy": lambda: infer(obs), "torch module": by_module}


def backpropagation() -> Variants:
    network = PolicyNetwork(make_spec())
    parameters = FlatParameters(network)
    obs, gradient = torch.randn(64, 4), torch.randn(64, 2)

    def through(backprop: object) -> Callable[[], object]:
        return lambda: (backprop.forward(obs), backprop.backward(gradient))  # type: ignore[attr-defined]

    return {
        "by hand": through(make_backprop(network, parameters, CPU)),
        "autograd": through(AutogradBackprop(network, parameters)),
    }


def losses() -> Variants:
    n = 256
    logits, actions = torch.randn(n, 2), torch.randint(0, 2, (n,))
    old, advantages, values, targets = torch.randn(4, n)

    def by_formula(reads_value: bool) -> None:
        with torch.no_grad():
            pi = Categorical(logits)
            entropy = entropy_bonus(pi.entropy)
            policy = clipped_surrogate_loss(pi.log_prob(actions), old, advantages, 0.2)
            loss = policy + 0.5 * squared_loss(values, targets) - 0.01 * entropy
            if reads_value:
                loss.value()
            by = loss.gradients
            pi.backward(actions, by["log_probs"], by["entropy"])

    def by_autograd() -> None:
        x, v = logits.detach().requires_grad_(), values.detach().requires_grad_()
        pi = Categorical(x)
        ratios = (pi.log_prob(actions) - old).exp()
        policy = -torch.minimum(ratios * advantages, ratios.clamp(0.8, 1.2) * advantages).mean()
        loss = policy + 0.5 * mse_loss(v, targets) - 0.01 * pi.entropy()
        torch.autograd.grad(loss, (x, v))

    return {
        "by formula": lambda: by_formula(False),
        "with the value": lambda: by_formula(True),
        "autograd": by_autograd,
    }


def measure(call: Callable[[], object]) -> float:
    """Return the CPU time per call in microseconds."""
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - start) / CALLS * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for title, variants in (
        ("act", acting()),
        ("backprop", backpropagation()),
        ("loss", losses()),
    ):
        for call in variants.values():
            measure(call)
        times = [[measure(call) for call in variants.values()] for _ in range(rounds)]
        medians = [statistics.median(column) for column in zip(*times, strict=True)]
        for name, median in zip(variants, medians, strict=True):
            print(f"{title:9} {name:15} {median:8.1f} us {median / medians[0]:6.2f}")


if __name__ == "__main__":
    main()
