"""Compare the speed of PPO and DQN on 84x84x4 images with a plain eager loop, on a GPU or the CPU.

    python scripts/bench_gpu.py [--device cuda] [--rounds 5] [--algos ppo dqn] [--steps 4096]

Both sides use the Nature network, the same settings and the same environments. The environments
return images drawn in advance and cost next to nothing, so that acting, storing and learning are
measured. The plain loop is a direct translation of the paper's pseudocode to torch: modules,
autograd, `torch.optim.Adam` and a buffer in main memory. The two take turns. Prints frames
(environment steps) per second, medians over the rounds, and the median of the rounds' ratios.

`--losses` instead compares the losses of the first updates, starting from the same weights, between
the device and the CPU.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import nn

from ars.algorithms.base import TrainingContext
from ars.algorithms.dqn import DQN, DQNConfig
from ars.algorithms.ppo import PPO, PPOConfig

SHAPE, N_ACTIONS = (4, 84, 84), 6
N_ENVS, N_STEPS, EPOCHS, BATCH = 8, 128, 4, 256  # PPO's on Atari (Schulman et al., 2017, table 5)
TRAIN_FREQ, DQN_BATCH, TARGET_UPDATE = 4, 32, 1000  # DQN's (Mnih et al., 2015, table 1)
BUFFER, STARTS = 10_000, 500


class Pictures(gymnasium.Env[Any, Any]):
    """Random images and rewards, drawn once; an episode has 1000 steps."""

    observation_space = gymnasium.spaces.Box(0, 255, SHAPE, np.uint8)
    action_space = gymnasium.spaces.Discrete(N_ACTIONS)

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._pictures = rng.integers(0, 256, (64, *SHAPE), np.uint8)
        self._rewards = rng.standard_normal(64)
        self._at = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._at = 0 if seed is None else seed % 64
        return self._pictures[self._at % 64], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._at += 1 + int(action)
        at = self._at % 64
        return self._pictures[at], float(self._rewards[at]), self._at > 3000, False, {}


gymnasium.register("Pictures-v0", Pictures, max_episode_steps=1000)  # type: ignore[arg-type]


def nature() -> nn.Sequential:
    """Return the layers of Mnih et al. (2015) up to the 512 units."""
    return nn.Sequential(
        nn.Conv2d(4, 32, 8, 4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 512),
        nn.ReLU(),
    )


def seen(pictures: Any, device: torch.device) -> torch.Tensor:
    """Return uint8 images as numbers from 0 to 1 on the device."""
    return torch.as_tensor(np.asarray(pictures), device=device).float() / 255


class PlainPPO:
    """PPO as in the paper, with a shared network."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.envs = device, [Pictures() for _ in range(N_ENVS)]
        self.trunk, self.actor = nature().to(device), nn.Linear(512, N_ACTIONS).to(device)
        self.critic = nn.Linear(512, 1).to(device)
        self.parameters = [p for m in (self.trunk, self.actor, self.critic) for p in m.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, 2.5e-4, eps=1e-5)
        self.obs = [env.reset(seed=i)[0] for i, env in enumerate(self.envs)]

    def iterate(self) -> int:
        """Play N_STEPS steps in every environment and learn from them."""
        columns: list[list[torch.Tensor]] = [[], [], [], [], [], []]
        for _ in range(N_STEPS):
            with torch.no_grad():
                x = seen(self.obs, self.device)
                hidden = self.trunk(x)
                choice = torch.distributions.Categorical(logits=self.actor(hidden))
                action = choice.sample()
                value = self.critic(hidden)[:, 0]
            results = [env.step(a) for env, a in zip(self.envs, action.cpu().numpy(), strict=True)]
            over = [bool(r[2] or r[3]) for r in results]
            self.obs = [
                env.reset()[0] if done else r[0]
                for env, r, done in zip(self.envs, results, over, strict=True)
            ]
            rewards = torch.tensor([r[1] for r in results], device=self.device)
            ended = torch.tensor(over, device=self.device).float()
            found = (x, action, choice.log_prob(action), value, rewards.float(), ended)
            for column, tensor in zip(columns, found, strict=True):
                column.append(tensor)
        with torch.no_grad():
            following = self.critic(self.trunk(seen(self.obs, self.device)))[:, 0]
        self._learn(columns, following)
        return N_STEPS * N_ENVS

    def _learn(self, columns: list[list[torch.Tensor]], following: torch.Tensor) -> None:
        _, _, _, values, rewards, ended = columns
        advantages, last = [torch.zeros(0)] * N_STEPS, torch.zeros(N_ENVS, device=self.device)
        for t in reversed(range(N_STEPS)):
            after = values[t + 1] if t + 1 < N_STEPS else following
            delta = rewards[t] + 0.99 * after * (1 - ended[t]) - values[t]
            last = delta + 0.99 * 0.95 * (1 - ended[t]) * last
            advantages[t] = last
        obs, actions, old, values_ = (torch.stack(c).flatten(0, 1) for c in columns[:4])
        advantage = torch.stack(advantages).flatten()
        targets = advantage + values_
        for _ in range(EPOCHS):
            for part in torch.randperm(N_STEPS * N_ENVS, device=self.device).split(BATCH):
                hidden = self.trunk(obs[part])
                choice = torch.distributions.Categorical(logits=self.actor(hidden))
                ratio = (choice.log_prob(actions[part]) - old[part]).exp()
                a = advantage[part]
                a = (a - a.mean()) / (a.std() + 1e-8)
                policy_loss = -torch.min(ratio * a, ratio.clamp(0.9, 1.1) * a).mean()
                value_loss = (self.critic(hidden)[:, 0] - targets[part]).square().mean()
                loss = policy_loss + 0.5 * value_loss - 0.01 * choice.entropy().mean()
                self.optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.parameters, 0.5)
                self.optimizer.step()


class PlainDQN:
    """DQN as in the paper."""

    def __init__(self, device: torch.device, steps: int) -> None:
        self.device, self.env, self.steps = device, Pictures(), steps
        self.network = nn.Sequential(nature(), nn.Linear(512, N_ACTIONS)).to(device)
        self.target = nn.Sequential(nature(), nn.Linear(512, N_ACTIONS)).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-4)
        self.rng = np.random.default_rng(0)
        self.pictures = np.zeros((2, BUFFER, *SHAPE), np.uint8)
        self.actions = np.zeros(BUFFER, np.int64)
        self.rewards, self.ended = np.zeros((2, BUFFER), np.float32)
        self.count = 0
        self.obs = self.env.reset(seed=0)[0]

    def iterate(self) -> int:
        """Play some steps, with an update after every fourth."""
        for _ in range(self.steps):
            with torch.no_grad():
                action = int(self.network(seen(self.obs[None], self.device)).argmax())
            if self.rng.random() < 0.05:
                action = int(self.rng.integers(N_ACTIONS))
            obs, reward, terminated, truncated, _ = self.env.step(action)
            at = self.count % BUFFER
            self.pictures[0, at], self.pictures[1, at] = self.obs, obs
            self.actions[at], self.rewards[at], self.ended[at] = action, reward, terminated
            self.obs = self.env.reset()[0] if terminated or truncated else obs
            self.count += 1
            if self.count >= STARTS and self.count % TRAIN_FREQ == 0:
                self._learn()
            if self.count % TARGET_UPDATE == 0:
                self.target.load_state_dict(self.network.state_dict())
        return self.steps

    def _learn(self) -> None:
        where = self.rng.integers(0, min(self.count, BUFFER), DQN_BATCH)
        actions = torch.as_tensor(self.actions[where], device=self.device)
        rewards = torch.as_tensor(self.rewards[where], device=self.device)
        ended = torch.as_tensor(self.ended[where], device=self.device)
        with torch.no_grad():
            best = self.target(seen(self.pictures[1, where], self.device)).max(1).values
            targets = rewards + 0.99 * (1 - ended) * best
        values = self.network(seen(self.pictures[0, where], self.device))
        loss = nn.functional.smooth_l1_loss(values.gather(1, actions[:, None])[:, 0], targets)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()


def ours(algo: str, device: str, steps: int) -> PPO | DQN:
    """Return the toolkit's algorithm with the settings of the plain loop."""
    env = Pictures()
    task = TrainingContext(
        "Pictures-v0",
        env.observation_space,
        env.action_space,
        device=device,
        notify=lambda line: None,
    )
    if algo == "ppo":
        return PPO(
            PPOConfig(
                n_envs=N_ENVS,
                n_steps=N_STEPS,
                n_epochs=EPOCHS,
                batch_size=BATCH,
                learning_rate=2.5e-4,
                clip_range=0.1,
                entropy_coef=0.01,
            ),
            task,
        )
    return DQN(
        DQNConfig(
            n_steps=steps,
            learning_rate=1e-4,
            batch_size=DQN_BATCH,
            buffer_size=BUFFER,
            learning_starts=STARTS,
            train_freq=TRAIN_FREQ,
            target_update=TARGET_UPDATE,
            epsilon_start=0.05,
            double=False,
        ),
        task,
    )


def compare(algo: str, device: torch.device, rounds: int, steps: int) -> str:
    """Return one line of the report."""
    algorithm = ours(algo, device.type, steps)
    plain = PlainPPO(device) if algo == "ppo" else PlainDQN(device, steps)

    def learn() -> int:
        before = algorithm.timesteps
        algorithm.iterate(None)  # type: ignore[arg-type]  # it does not use a pool
        return algorithm.timesteps - before

    def rate(iterate: Callable[[], int]) -> float:
        began, played = time.perf_counter(), 0
        while played < steps:
            played += iterate()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return played / (time.perf_counter() - began)

    contenders = (learn, plain.iterate)
    for contender in contenders:  # warm-up: compile kernels, fill the buffer
        rate(contender)
    pairs = [tuple(map(rate, contenders)) for _ in range(rounds)]
    algorithm.close()
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return f"{algo:6}{mine:16,.0f}{other:14,.0f}{ratio:10.2f}"


def compare_losses(algo: str, device: torch.device, iterations: int = 3) -> str:
    """Return a line with the largest difference of a loss between the device and the CPU."""
    rows = []
    for kind in ("cpu", device.type):
        algorithm = ours(algo, kind, STARTS)
        rows.append([algorithm.iterate(None) for _ in range(iterations)])  # type: ignore[arg-type]
        algorithm.close()
    names = [name for name in rows[0][0] if name.endswith("loss")]
    worst = max(abs(a[n] - b[n]) for a, b in zip(*rows, strict=True) for n in names)
    return f"{algo}: {', '.join(names)} of {iterations} iterations differ by {worst:.1e} at most"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4096, help="at least, in each turn")
    parser.add_argument("--algos", nargs="+", choices=("ppo", "dqn"), default=["ppo", "dqn"])
    parser.add_argument("--losses", action="store_true", help="compare these with the CPU's")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; --device cpu shows what the script does")
    if args.losses:
        for algo in args.algos:
            print(compare_losses(algo, device))
        return
    where = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU"
    print(f"frames a second on {where}: {args.rounds} rounds, medians")
    print(f"{'':6}{'this toolkit':>16}{'plain loop':>14}{'ratio':>10}")
    for algo in args.algos:
        print(compare(algo, device, args.rounds, args.steps), flush=True)


if __name__ == "__main__":
    main()
