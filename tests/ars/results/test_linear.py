"""The weights of a linear policy, and what it loses without them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import save

import envs
from ars.common.errors import UsageError
from ars.results import style
from ars.results.heat_map import draw_weights
from ars.results.linear import carriers, find_losses, linear_weights
from ars.training.rebuild import chosen_policy
from ars.training.run_folder import ResolvedPolicy, find_policy
from policies import PolicyFile, make_policy, save_policy


def resolved(path: Path, kind: str = "linear", env_id: str = "CartPole-v1") -> ResolvedPolicy:
    env = envs.make(env_id)
    options = {"hidden_sizes": (3,)} if kind == "mlp" else {"bias": True}
    policy = make_policy(kind, env.observation_space, env.action_space, **options)
    env.close()
    policy.weights = np.zeros(policy.spec.n_weights)
    save_policy(path, PolicyFile(policy, env_id, {}, {"seed": 0, "rollout_length": 500}))
    return find_policy(str(path))


def balancing(path: Path) -> ResolvedPolicy:
    """It pushes to where the pole leans, and tips: other inputs count for nothing."""
    found = resolved(path)
    weights = np.zeros((2, 4))
    weights[1, 2], weights[1, 3] = 1.0, 0.5
    found.file.policy.weights = np.concatenate([weights.ravel(), [0.0, 0.0]])
    return found


def test_weights_have_the_names_of_inputs_and_actions(tmp_path: Path) -> None:
    weights = linear_weights(balancing(tmp_path / "p.safetensors"))
    assert weights.names.observation[2] == "pole angle"
    assert weights.names.action == ("push left", "push right")
    assert weights.matrix[1].tolist() == [0.0, 0.0, 1.0, 0.5]
    assert weights.bias is not None and weights.bias.tolist() == [0.0, 0.0]
    assert not weights.normalized


def test_what_counts_for_nothing_is_missed_by_nobody(tmp_path: Path) -> None:
    policy = balancing(tmp_path / "p.safetensors")
    weights, before = linear_weights(policy), policy.file.policy.weights.copy()
    totals: list[int] = []
    losses = find_losses(policy, weights, 2, True, pytest.fail, totals.append)
    assert losses.return_mean > 150
    assert losses.inputs[:2].tolist() == [0.0, 0.0]
    assert losses.inputs[3] > 100
    assert losses.weights is not None and losses.weights.shape == (2, 4)
    # An input with one weight is worth as much as that weight.
    np.testing.assert_array_equal(losses.weights[1], losses.inputs)
    assert (losses.weights[0] == 0).all()
    assert totals == [1 + 4 + 8] * 13
    np.testing.assert_array_equal(policy.file.policy.weights, before)
    assert "it loses most without pole velocity (" in carriers(weights, losses)


def test_a_policy_that_does_nothing_loses_nothing(tmp_path: Path) -> None:
    policy = resolved(tmp_path / "p.safetensors")
    weights = linear_weights(policy)
    losses = find_losses(policy, weights, 1, False, pytest.fail)
    assert losses.weights is None
    assert carriers(weights, losses).endswith("; it loses nothing without any one input")
    with style.print_style():
        draw_weights(weights, losses)


def test_only_linear_policies_of_some_size_are_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a policy of kind mlp; `weights` shows linear ones"):
        linear_weights(resolved(tmp_path / "mlp.safetensors", kind="mlp"))
    large = resolved(tmp_path / "large.safetensors", env_id="Squash")
    with pytest.raises(UsageError, match=r"inputs and 3 outputs; `weights` shows at most 400"):
        linear_weights(large)


def test_the_inputs_of_a_clock_are_named() -> None:
    names = linear_weights(chosen_policy("Minitaur")).names.observation
    assert names[0] == "front left L angle"
    assert names[-2:] == ("clock 6.4 Hz sine", "clock 6.4 Hz cosine")


def test_without_names_there_are_numbers(tmp_path: Path) -> None:
    weights = linear_weights(find_policy(str(save(tmp_path / "square.safetensors"))))
    assert weights.names == (("input 0", "input 1", "input 2"), ("action 0", "action 1"))


@pytest.mark.parametrize("each_weight", [False, True])
def test_every_text_of_the_figure_lies_on_its_page(each_weight: bool, tmp_path: Path) -> None:
    policy = balancing(tmp_path / "p.safetensors")
    weights = linear_weights(policy)
    losses = find_losses(policy, weights, 1, each_weight, pytest.fail)
    with style.print_style():
        figure = draw_weights(weights, losses)
        box = figure.get_tightbbox()
        assert box.x0 >= 0 and box.y0 >= 0
        assert (box.x1, box.y1) <= tuple(figure.get_size_inches())
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert names == [*weights.names.observation, "bias"]
