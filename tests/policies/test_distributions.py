"""Distributions against numbers worked out by hand, torch's own, and their own samples."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from closeness import close
from torch import tensor

from policies.distributions import Categorical, Gaussian, sample_categorical, sample_gaussian


def test_categorical_by_hand() -> None:
    # Probabilities 1/4, 3/4; adding a constant to the logits changes nothing.
    logits = tensor([[0.0, math.log(3.0)]]) + 5.0
    for action, probability in enumerate((0.25, 0.75)):
        found = Categorical(logits).log_prob(tensor([action]))
        close(found, [math.log(probability)])
    entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
    close(Categorical(logits).entropy(), entropy)


def test_gaussian_by_hand() -> None:
    # One component a deviation away from its mean, the other at its mean with deviation 2.
    mean, log_std = tensor([[1.0, 0.0]]), tensor([0.0, math.log(2.0)])
    found = Gaussian(mean, log_std).log_prob(tensor([[2.0, 0.0]]))
    assert found.shape == (1,)
    close(found, [-0.5 - math.log(2.0) - math.log(2 * math.pi)])
    entropy = math.log(2.0) + math.log(2 * math.pi * math.e)
    close(Gaussian(mean, log_std).entropy(), entropy)


def test_both_agree_with_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    actions = torch.randint(6, (50,), generator=generator)
    peer = torch.distributions.Categorical(logits=logits)
    ours = Categorical(logits)
    torch.testing.assert_close(ours.log_prob(actions), peer.log_prob(actions))
    torch.testing.assert_close(ours.entropy(), peer.entropy().mean())
    mean, where = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    log_std = torch.randn(3, generator=generator, dtype=torch.float64)
    normal = torch.distributions.Normal(mean, log_std.exp())
    gaussian = Gaussian(mean, log_std)
    torch.testing.assert_close(gaussian.log_prob(where), normal.log_prob(where).sum(-1))
    torch.testing.assert_close(gaussian.entropy(), normal.entropy().sum(-1)[0])


def test_categorical_samples_come_as_often_as_their_probabilities_say() -> None:
    n, probabilities = 100_000, np.array([0.1, 0.0, 0.6, 0.3, 0.0])
    with np.errstate(divide="ignore"):
        logits = np.tile(np.log(probabilities) + 300.0, (n, 1))
    actions = sample_categorical(logits, np.random.default_rng(0))
    assert actions.shape == (n,) and actions.dtype == np.int64
    shares = np.bincount(actions, minlength=5) / n
    assert shares[1] == shares[4] == 0
    # Five standard deviations of a share.
    assert np.all(np.abs(shares - probabilities) <= 5 * np.sqrt(probabilities / n))


def test_each_row_is_sampled_from_its_own_logits() -> None:
    logits = np.where(np.eye(4, dtype=bool), 0.0, -np.inf).astype(np.float32)
    assert sample_categorical(logits, np.random.default_rng(0)).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_samples_have_their_mean_and_deviation(dtype: Any) -> None:
    n, mean, std = 100_000, np.array([1.0, -2.0], dtype), np.array([0.5, 3.0], dtype)
    actions = sample_gaussian(np.tile(mean, (n, 1)), np.log(std), np.random.default_rng(0))
    assert actions.shape == (n, 2) and actions.dtype == dtype
    assert np.all(np.abs(actions.mean(axis=0) - mean) <= 5 * std / math.sqrt(n))
    assert np.all(np.abs(actions.std(axis=0) / std - 1) <= 5 / math.sqrt(2 * n))


def test_the_same_generator_gives_the_same_actions() -> None:
    logits = np.random.default_rng(1).standard_normal((8, 3))
    draws = [
        (sample_categorical(logits, rng).tolist(), sample_gaussian(logits, logits[0], rng).tolist())
        for rng in (np.random.default_rng(7), np.random.default_rng(7))
    ]
    assert draws[0] == draws[1]


def test_sampling_does_not_load_torch() -> None:
    code = "import sys, policies.distributions; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("by_entropy", [0.0, -0.3])
def test_gradients_are_those_of_log_probabilities_and_entropies(by_entropy: float) -> None:
    draws = torch.Generator().manual_seed(0)
    outputs = torch.randn(50, 3, generator=draws, requires_grad=True)
    weights = torch.randn(50, generator=draws)
    actions = torch.randint(0, 3, (50,), generator=draws)
    categorical = Categorical(outputs)
    total = (weights * categorical.log_prob(actions)).sum() + by_entropy * categorical.entropy()
    (expected,) = torch.autograd.grad(total, outputs)
    found, _ = Categorical(outputs.detach()).backward(actions, weights, by_entropy)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)

    log_std = torch.tensor([-1.0, 0.0, 0.5], requires_grad=True)
    taken = torch.randn(50, 3, generator=draws)
    gaussian = Gaussian(outputs, log_std)
    total = (weights * gaussian.log_prob(taken)).sum() + by_entropy * gaussian.entropy()
    both = torch.autograd.grad(total, [outputs, log_std])
    again = Gaussian(outputs.detach(), log_std.detach()).backward(taken, weights, by_entropy)
    for ours, theirs in zip(again, both, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
