"""Tabular Q-learning on CliffWalking beside the plain loop of a textbook, in turns.

    python scripts/bench_tabular.py --episodes 500 --repeats 7

Both play the same episodes: with the random numbers of the toolkit's policy the plain loop takes
the same actions in Gymnasium's `CliffWalking-v1` and ends with the same table, bit for bit; that is
checked first. The loop that is timed draws its own random numbers, as textbooks
do. Prints steps a second of both, and their ratio: the median over the turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from ars.algorithms.base import TrainingContext
from ars.algorithms.tabular.learning import TDConfig
from ars.algorithms.tabular.q_learning import QLearning
from ars.common.seeding import Stream, generator

ENV_ID, ALPHA, GAMMA, EPSILON = "CliffWalking-v1", 0.5, 1.0, 0.1
LIMIT = 1000  # steps in an episode, as in training


def ours(episodes: int, seed: int) -> tuple[float, int, Any]:
    """Seconds, steps and table of Q-learning in the toolkit."""
    env = gymnasium.make(ENV_ID)
    context = TrainingContext(ENV_ID, env.observation_space, env.action_space, seed=seed)
    config = TDConfig(
        gamma=GAMMA,
        learning_rate=ALPHA,
        epsilon_start=EPSILON,
        epsilon_end=EPSILON,
        n_episodes=episodes,
    )
    learner = QLearning(config, context)
    began = time.perf_counter()
    learner.iterate(None)  # type: ignore[arg-type]  # only evaluations need a pool
    return time.perf_counter() - began, learner.timesteps, np.array(learner.table)


def textbook(episodes: int, seed: int) -> tuple[float, int, Any]:
    """The same of a plain loop."""
    env: Any = gymnasium.make(ENV_ID)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    rng, steps = np.random.default_rng(seed), 0
    began = time.perf_counter()
    env.reset(seed=seed)
    for _ in range(episodes):
        s, _ = env.reset()
        done, length = False, 0
        while not done and length < LIMIT:
            explores = rng.random() < EPSILON
            a = rng.integers(env.action_space.n) if explores else np.argmax(q[s])
            s_next, r, done, _, _ = env.step(a)
            target = r if done else r + GAMMA * np.max(q[s_next])
            q[s, a] += ALPHA * (target - q[s, a])
            s, length = s_next, length + 1
        steps += length
    return time.perf_counter() - began, steps, q


def same_episodes(episodes: int, seed: int) -> bool:
    """Whether Gymnasium's environment gives the toolkit's table by the same random numbers."""
    env: Any = gymnasium.make(ENV_ID)
    q, steps = np.zeros((env.observation_space.n, env.action_space.n)), 0
    uniforms = _uniforms(generator(seed, Stream.ACTIONS))
    for episode in range(episodes):
        s, _ = env.reset(seed=episode)
        done, length = False, 0
        while not done and length < LIMIT:
            u = next(uniforms)
            a = int(u / EPSILON * 4) if u < EPSILON else int(np.argmax(q[s]))
            s_next, r, done, _, _ = env.step(a)
            target = r if done else r + GAMMA * np.max(q[s_next])
            q[s, a] += ALPHA * (target - q[s, a])
            s, length = s_next, length + 1
        steps += length
    _, our_steps, table = ours(episodes, seed)
    return steps == our_steps and bool(np.array_equal(q, table))


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(1000).tolist()


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description="Q-learning beside a plain loop, on CliffWalking")
    parser.add_argument("--episodes", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    if not same_episodes(args.episodes, 0):
        raise SystemExit("the episodes differ")
    print("the same episodes and the same table, bit for bit")
    ratios = []
    for seed in range(args.repeats):
        speeds = []
        for play in (ours, textbook):
            seconds, steps, _ = play(args.episodes, seed)
            speeds.append(steps / seconds)
        ratios.append(speeds[0] / speeds[1])
        print(f"seed {seed}: {speeds[0]:,.0f} and {speeds[1]:,.0f} steps/s, {ratios[-1]:.1f} times")
    print(f"median: {np.median(ratios):.1f} times, from {min(ratios):.1f} to {max(ratios):.1f}")


if __name__ == "__main__":
    main()
