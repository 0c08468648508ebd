"""The action of a policy in an npz file, with NumPy alone.

    policy = dict(numpy.load("HalfCheetah.npz"))
    action = act(policy, observation)

The file holds, in the order of their use and as far as the policy has them:

    mean, std, clip         x = (x - mean) / std, then to within -clip and clip
    weight_0, bias_0 ...    x = weight x + bias, with `activation` between the layers
    squash                  x = tanh(x)
    start                   discrete actions: the index of the largest output, plus `start`
    middle, half            x = middle + half x; integers are rounded
    low, high               x to within the bounds of an action
    dtype, shape            of an action

and `recipe`, which is this text.
"""

import math
from typing import Any

import numpy as np

ACTIVATIONS = {
    "tanh": math.tanh,
    "relu": lambda x: x if x > 0.0 else 0.0,
    "sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0,
}


def each(function: Any, x: Any) -> Any:
    """A function of one number, applied to each; NumPy's own differ in the last bit."""
    return np.array([function(value) for value in x.tolist()])


def act(policy: dict[str, Any], observation: Any) -> Any:
    """The action for an observation, the same as the original policy's to the last bit."""
    x = np.asarray(observation, np.float64).ravel()
    if "mean" in policy:
        x = (x - policy["mean"]) / policy["std"]
    if "clip" in policy:
        x = np.clip(x, -policy["clip"], policy["clip"])
    layer = 0
    while f"weight_{layer}" in policy:
        if layer > 0:
            x = each(ACTIVATIONS[str(policy["activation"])], x)
        # `accumulate` adds in the order of the inputs; a matrix product may take any order.
        x = np.add.accumulate(policy[f"weight_{layer}"] * x, axis=1)[:, -1]
        if f"bias_{layer}" in policy:
            x = x + policy[f"bias_{layer}"]
        layer += 1
    if "squash" in policy:
        x = each(math.tanh, x)
    if "start" in policy:
        return x.argmax() + policy["start"]
    dtype = np.dtype(str(policy["dtype"]))
    if "middle" in policy:
        x = policy["middle"] + policy["half"] * x
        x = x if dtype.kind == "f" else np.rint(x)
    x = x.astype(dtype) if dtype.kind == "f" else x
    if "low" in policy:
        x = np.minimum(np.maximum(x, policy["low"]), policy["high"])
    return x.astype(dtype).reshape(policy["shape"])
