"""Deep Q-learning (Mnih et al., 2015, "Human-level control", Algorithm 1), and what improved it.

A network Q(s, a) learns the value of every action. It acts epsilon-greedily; transitions go into a
replay buffer, from which minibatches are drawn to minimise

    E[l(y - Q(s, a))],    y = r + gamma max_b Q'(s', b)

where Q' is the target network, a copy that is updated from time to time. Options:

    double       y = r + gamma Q'(s', argmax_b Q(s', b))       van Hasselt et al. (2016)
    dueling      Q = V + A - mean A                            Wang et al. (2016)
    prioritized  larger errors are drawn more often            Schaul et al. (2016)
    return_steps y = r_1 + ... + gamma^n max_b Q'(s_n, b)      Sutton (1988)
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ars.algorithms.base import Row, TrainingContext
from ars.algorithms.deep import INITIALIZATIONS, DeepAlgorithm, DeepConfig
from ars.algorithms.schedules import (
    epsilon_end_setting,
    epsilon_start_setting,
    exploration_steps_setting,
)
from ars.common.errors import RunError, UsageError, failures, one_line
from ars.common.host import close_env, make_env
from ars.common.resources import shortage
from ars.common.settings import LARGE, LARGEST_STEP, setting
from ars.experience.prioritized import PrioritizedReplayBuffer
from ars.experience.replay import ReplayBuffer, ReplaySamples
from ars.experience.storage import HostFrameStorage, MakeFrameStorage
from envs.atari import n_stacked
from policies import ACTIVATIONS, DiscreteSpec, Policy, space_spec
from policies.state import State

if TYPE_CHECKING:
    from torch import Tensor

    from ars.learning.transitions import Transitions


@dataclass(frozen=True)
class DQNConfig(DeepConfig):
    """Settings of DQN. An iteration is n_envs * n_steps environment steps."""

    n_steps: int = setting(
        1000, "steps of each environment in an iteration", at_least=1, at_most=LARGE
    )
    activation: str | None = setting("relu", "hidden activation", choices=[*ACTIVATIONS])
    initialization: str = setting(
        "uniform", "how initial weights are drawn", choices=INITIALIZATIONS
    )
    learning_rate: float = setting(
        5e-4, "step size of the optimiser", above=0, at_most=LARGEST_STEP
    )
    max_grad_norm: float | None = setting(
        10.0, "bound on the gradient's Euclidean norm; 0 for none", at_least=0
    )
    optimizer: str = setting("adam", "rule of the gradient step", choices=("adam", "rmsprop"))
    loss: str = setting(
        "huber", "loss of a temporal-difference error", choices=("huber", "squared")
    )
    batch_size: int = setting(64, "transitions in a minibatch", at_least=1)
    buffer_size: int = setting(100_000, "transitions in the replay buffer", at_least=1)
    save_buffer: bool = setting(
        False, "save the replay buffer in checkpoints although it holds images, or other bytes"
    )
    learning_starts: int = setting(1000, "timesteps before learning starts", at_least=0)
    train_freq: int = setting(4, "steps of each environment between rounds of learning", at_least=1)
    gradient_steps: int = setting(1, "minibatches in a round of learning", at_least=1)
    target_update: int = setting(
        1000, "timesteps between updates of the target network", at_least=1
    )
    target_tau: float = setting(
        1.0,
        "part of the way to the network that such an update goes; 1: a copy",
        above=0,
        at_most=1,
    )
    epsilon_start: float = epsilon_start_setting(1.0)
    epsilon_end: float = epsilon_end_setting(0.05)
    exploration_steps: int = exploration_steps_setting(10_000)
    double: bool = setting(
        True, "choose the next action with the network, value it with the target network"
    )
    dueling: bool = setting(
        False, "add a state value and advantages instead of learning action values directly"
    )
    prioritized: bool = setting(False, "draw transitions in proportion to their errors")
    priority_alpha: float = setting(
        0.6, "exponent of the errors; 0: uniform", at_least=0, requires={"prioritized": (True,)}
    )
    priority_beta: float = setting(
        0.4,
        "initial exponent of the importance sampling weights; 1 at the horizon",
        at_least=0,
        at_most=1,
        requires={"prioritized": (True,)},
    )
    return_steps: int = setting(1, "rewards in a target before bootstrapping (n)", at_least=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (
            ("batch_size", self.batch_size),
            ("learning_starts", self.learning_starts),
            ("return_steps", self.return_steps * self.n_envs),
        ):
            if least > self.buffer_size:
                raise UsageError(
                    f"`{name}` {getattr(self, name)}: more than the {self.buffer_size} transitions "
                    "of `buffer_size`"
                )


class DQN(DeepAlgorithm):
    """Deep Q-learning: acting and learning alternate in `_iterate`; the update is `_update`."""

    Config = DQNConfig
    plays = "the last 100 training episodes, some of their actions random"

    def __init__(self, config: DQNConfig, context: TrainingContext) -> None:
        if not isinstance(space_spec(context.action_space, "action"), DiscreteSpec):
            raise UsageError(
                f"`algo` dqn: chooses among Discrete actions, and those of {context.env_id} are a "
                f"Box of shape {context.action_space.shape}; ppo takes both"
            )
        super().__init__(config, context, distribution=False)
        from ars.learning.backprop import make_backprop
        from ars.learning.inference import NetworkInference
        from ars.learning.initialization import initialize
        from policies.networks import DuelingNetwork, PolicyNetwork
        from policies.parameters import FlatParameters

        kind = DuelingNetwork if config.dueling else PolicyNetwork
        network, target = kind(self.policy.spec), kind(self.policy.spec)
        initialize(network, config.initialization, self.initial_weights_rng())
        self._learn_with(network, config.optimizer)
        self._target_parameters = FlatParameters(target.to(self.device))
        self._update_target(1.0)
        self.network = make_backprop(network, self.parameters, self.device)
        self.target = make_backprop(target, self._target_parameters, self.device)
        self.inference = NetworkInference(network, self.device)
        self.buffer = self._make_buffer()
        lacking = shortage(self.buffer.nbytes, "`buffer_size`, once the buffer is full")
        if lacking is not None and self.device.type == "cpu":
            context.notify(f"warning: {lacking}")
        self._saves_buffer = self._is_buffer_saved()
        self._huber_delta = 1.0 if config.loss == "huber" else None
        self._buffer_since = 0  # the timestep at which the buffer began to fill
        self._learned: list[tuple[Tensor, Tensor, Tensor]] = []

    def _make_buffer(self) -> ReplayBuffer:
        config, spec = self.config, self.policy.spec
        details: dict[str, Any] = {
            "dtype": spec.observation.dtype,
            "n_step": config.return_steps,
            "gamma": config.gamma,
            "n_actions": spec.action.size,
        }
        if spec.conv_layers:
            details["frame_storage"] = self._frame_storage()
            if not spec.channels_last:
                details["n_stacked"] = self._n_stacked()
        arguments = config.buffer_size, config.n_envs, spec.observation.shape
        try:
            if config.prioritized:
                details["alpha"] = config.priority_alpha
                return PrioritizedReplayBuffer(*arguments, **details)
            return ReplayBuffer(*arguments, **details)
        except (MemoryError, ValueError) as error:
            message = f"`buffer_size` {config.buffer_size}: too large for the memory ({error})"
            raise UsageError(message) from None

    def _n_stacked(self) -> int:
        context = self.context
        try:
            with self.environments_lent() if context.only_one_env else nullcontext():
                env = make_env(context.env_id, context.env_kwargs)
                try:
                    return n_stacked(env)
                finally:
                    close_env(env, context.env_id)
        except failures() as error:
            raise RunError(f"{context.env_id}: {one_line(error)}") from error

    def _frame_storage(self) -> MakeFrameStorage:
        """What stores images: on the device that learns from them."""
        if self.device.type == "cpu":
            return HostFrameStorage
        from ars.experience.gpu_storage import GpuFrameStorage

        return partial(GpuFrameStorage, self.device)

    def _is_buffer_saved(self) -> bool:
        """Whether checkpoints hold the buffer; of images, or other bytes, its size is told."""
        if np.dtype(self.policy.spec.observation.dtype).itemsize > 1:
            if self.config.save_buffer:
                raise UsageError(
                    "`save_buffer`: is for images, or other bytes; checkpoints always hold one of "
                    "other observations"
                )
            return True
        saved, size = self.config.save_buffer, f"up to {self.buffer.nbytes / 1e6:,.1f} MB"
        self.context.notify(
            f"checkpoints hold the replay buffer, {size}"
            if saved
            else f"checkpoints leave the replay buffer out; `save_buffer` would add {size}"
        )
        return bool(saved)

    # Algorithm 1

    def _iterate(self) -> Row:
        config, rate = self.config, self._set_learning_rate()
        size = config.n_steps, config.n_envs
        uniforms = self.rng.random(size, np.float32)
        random_actions = self.rng.integers(0, self.policy.spec.action.size, size)
        for step in range(config.n_steps):
            # 1. Act: at random with probability epsilon, else greedily.
            # 2. Store the transitions.
            self._play(uniforms[step] < self.epsilon, random_actions[step])
            # 3. Learn from the buffer, once it holds enough.
            waited = self.timesteps - self._buffer_since >= config.learning_starts
            enough = waited and len(self.buffer) > 0
            if enough and self.timesteps // config.n_envs % config.train_freq == 0:
                self._learn()
            # 4. Update the target network.
            if self.timesteps % config.target_update < config.n_envs:
                self._update_target(config.target_tau)
        return {**self._averages(), "epsilon": self.epsilon, "learning_rate": rate}

    def _play(self, explores: NDArray[np.bool_], random_actions: NDArray[np.int64]) -> None:
        """Take and store one step of every environment. Both arguments: [n_envs]."""
        config, obs, actions = self.config, self.environments.obs, random_actions
        if not explores.all():
            best = self.inference(self._inputs(obs)).argmax(1)
            actions = np.where(explores, random_actions, best)
        step = self.environments.step(self._env_actions(actions))
        self.buffer.add(
            obs,
            actions,
            self._rewards(step),
            step.terminated,
            step.truncated,
            step.final_obs,
            step.cut if config.cut_returns else None,
        )
        self.timesteps += config.n_envs

    def _learn(self) -> None:
        """A round of learning: `gradient_steps` minibatches."""
        import torch

        config, buffer = self.config, self.buffer
        n, size = config.gradient_steps, config.batch_size
        if isinstance(buffer, PrioritizedReplayBuffer):
            beta = 1.0 - self.remaining * (1.0 - config.priority_beta)
            for _ in range(n):
                drawn = buffer.sample_weighted(self.rng, size, beta)
                batch = self._transitions(drawn)
                errors = self._update(batch, self._targets(batch))
                buffer.update(drawn.indices, errors.cpu().numpy())
            return
        # Nothing is added in between, so all minibatches can be drawn at once, except of images.
        at_once = 1 if self.policy.spec.conv_layers else n
        for start in range(0, n, at_once):
            drawn = buffer.sample(self.rng, min(at_once, n - start) * size)
            batch = self._transitions(drawn)
            parts = batch.split(size)
            # The target network does not change during a round, but the network does: with
            # Double DQN targets are computed for each minibatch.
            targets = (
                (self._targets(part) for part in parts)
                if config.double
                else torch.split(self._targets(batch), size)
            )
            for part, y in zip(parts, targets, strict=True):
                self._update(part, y)

    def _transitions(self, drawn: ReplaySamples) -> Transitions:
        from ars.learning.transitions import Transitions

        return Transitions.on_device(
            self.device,
            self._inputs(drawn.obs),
            drawn.actions[:, None],
            drawn.returns,
            drawn.discounts,
            self._inputs(drawn.next_obs),
            drawn.weights,
        )

    def _targets(self, batch: Transitions) -> Tensor:
        """The targets y, [n]."""
        import torch

        from ars.learning.losses import td_targets

        with torch.no_grad():
            (next_q,) = self.target.forward(batch.next_obs)
            if not self.config.double:
                return td_targets(batch.returns, batch.discounts, next_q)
            (next_online_q,) = self.network.forward(batch.next_obs)
            return td_targets(batch.returns, batch.discounts, next_q, next_online_q)

    def _update(self, batch: Transitions, targets: Tensor) -> Tensor:
        """One step to minimise E[w l(y - Q(s, a))]; returns the errors y - Q(s, a), [n]."""
        import torch

        from ars.learning.losses import td_loss

        weights = batch.weights if self.config.prioritized else None
        # 1. The values of the actions taken, and the loss.
        with torch.enable_grad():  # an environment may have disabled it
            values = self.network.forward(batch.obs)[0]
        q = values.gather(1, batch.actions).squeeze(1)
        loss = td_loss(q, targets, weights, self._huber_delta)
        # 2. Its gradient with respect to q, all values (0 for the other actions) and the weights.
        q_grad = loss.gradients["q"].unsqueeze(1)
        self.network.backward(torch.zeros_like(values).scatter_(1, batch.actions, q_grad))
        # 3. The step.
        norm = self._take_step()
        self._learned.append((q, targets, norm))
        return targets - q

    def _update_target(self, tau: float) -> None:
        self._target_parameters.copy_from(self.parameters, tau)

    def _averages(self) -> dict[str, float]:
        """Means over the iteration's minibatches; NaN if there were none."""
        import torch

        from ars.learning.losses import td_loss

        updates = len(self._learned)
        if not updates:
            return {"loss": math.nan, "q_mean": math.nan, "grad_norm": math.nan, "updates": 0}
        q, targets, norms = zip(*self._learned, strict=True)
        self._learned.clear()
        loss = td_loss(torch.cat(q), torch.cat(targets), huber_delta=self._huber_delta)
        return {
            "loss": float(loss.value()),
            "q_mean": float(torch.cat(q).mean()),
            "grad_norm": float(torch.stack(norms).mean()),
            "updates": updates,
        }

    # The interface to the trainer

    def _drop_episodes(self, which: list[int]) -> None:
        self.buffer.end_episodes(which)

    def start_from(self, policy: Policy) -> None:
        super().start_from(policy)
        self._update_target(1.0)

    def state(self) -> State:
        """Also the target network and, unless it is left out, the replay buffer."""
        state = super().state()
        state.arrays["target"] = self._target_parameters.numpy()
        state.values["buffer_since"] = self._buffer_since
        if self._saves_buffer:
            state.add("buffer", self.buffer)
        return state

    def restore(self, state: State) -> None:
        """Restore a `state`. Raises: ValueError."""
        super().restore(state)
        shape = tuple(self._target_parameters.data.shape)
        self._target_parameters.load(state.array("target", shape, np.float32))
        if self._saves_buffer:
            self._buffer_since = state.count("buffer_since", at_most=self.timesteps)
            # Every step since then has been added.
            rows = (self.timesteps - self._buffer_since) // self.config.n_envs
            state.nested("buffer").count("added", rows, rows)
            state.restore("buffer", self.buffer)
            return
        self._buffer_since = self.timesteps
        self.context.notify(
            "the replay buffer was not saved: it refills, and learning goes on after "
            f"{self.config.learning_starts:,} timesteps"
        )
