"""Names for the numbers of observations and actions, for figures; the modules give their units.

The robots' joints have the names of their models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class SpaceNames(NamedTuple):
    """A name for each number of an observation, and for each number or choice of an action."""

    observation: tuple[str, ...]
    action: tuple[str, ...]


_ARM = (
    *("shoulder pan", "shoulder lift", "upper arm roll", "elbow", "forearm roll"),
    *("wrist flex", "wrist roll"),
)
_LEG = ("thigh", "leg", "foot")
_CHEETAH = tuple(f"{end} {part}" for end in ("back", "front") for part in ("thigh", "shin", "foot"))
_WALKER = (*_LEG, *(f"left {part}" for part in _LEG))
_HUMAN = (
    *(f"abdomen {axis}" for axis in "zyx"),
    *(
        f"{side} {part}"
        for side in ("right", "left")
        for part in ("hip x", "hip z", "hip y", "knee")
    ),
    *(
        f"{side} {part}"
        for side in ("right", "left")
        for part in ("shoulder 1", "shoulder 2", "elbow")
    ),
)
_ANT = tuple(f"{part} {leg}" for leg in range(1, 5) for part in ("hip", "ankle"))
_POLE = ("angle cosine", "angle sine", "angular velocity")
_CORNERS = tuple(f"{end} {side}" for side in ("left", "right") for end in ("front", "back"))
_XYZ = ("x", "y", "z")


def _moving(joints: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{joint} {what}" for joint in joints for what in ("angle", "velocity"))


def _walking(joints: Sequence[str], feet: Sequence[str]) -> SpaceNames:
    """Those of `envs.bullet.locomotion`."""
    torso = (
        *("height", "heading sine", "heading cosine"),
        *("forward velocity", "left velocity", "up velocity", "roll", "pitch"),
    )
    contacts = (f"{foot} contact" for foot in feet)
    return SpaceNames((*torso, *_moving(joints), *contacts), tuple(joints))


def _handling(*places: str, gap: Sequence[str]) -> SpaceNames:
    """Those of Pusher and Thrower in `envs.bullet.manipulation`."""
    values = [f"{joint} {what}" for joint in _ARM for what in ("angle", "velocity")]
    values += [f"{place}{what}" for place in places for what in ("", " velocity")]
    gaps = (f"object to target {axis}" for axis in gap)
    ends = (f"{part} place {axis}" for part in ("fingertip", "object", "target") for axis in _XYZ)
    return SpaceNames((*values, *(f"{v}, scaled" for v in values), *gaps, *ends), _ARM)


def _in_plane(joints: Sequence[str]) -> SpaceNames:
    """Those of the runners in a plane of `gymnasium.envs.mujoco`."""
    root = "height", "pitch"
    speeds = "forward velocity", "up velocity", "pitch velocity"
    return SpaceNames(
        (
            *(*root, *(f"{joint} angle" for joint in joints)),
            *(*speeds, *(f"{joint} velocity" for joint in joints)),
        ),
        tuple(joints),
    )


_HUMANOID = _walking(_HUMAN, ("right foot", "left foot"))
_PENDULUM = SpaceNames(
    ("cart position", "cart velocity", *(f"pole {x}" for x in _POLE)), ("force",)
)

SPACE_NAMES = {
    "HalfCheetah": _walking(
        _CHEETAH,
        [f"{end} {part}" for end in ("front", "back") for part in ("foot", "shin", "thigh")],
    ),
    "Hopper": _walking(_LEG, ["foot"]),
    "Walker2D": _walking(_WALKER, ["foot", "left foot"]),
    "Ant": _walking(
        _ANT, ["front left foot", "front right foot", "back left foot", "back right foot"]
    ),
    "Humanoid": _HUMANOID,
    "HumanoidFlagrun": _HUMANOID,
    "HumanoidFlagrunHarder": _HUMANOID,
    "InvertedPendulum": _PENDULUM,
    "InvertedPendulumSwingup": _PENDULUM,
    "InvertedDoublePendulum": SpaceNames(
        (
            *("cart position", "cart velocity", "upper pole x"),
            *(f"{pole} pole {x}" for pole in ("lower", "upper") for x in _POLE),
        ),
        ("force",),
    ),
    "Reacher": SpaceNames(
        (
            *("target x", "target y", "target to fingertip x", "target to fingertip y"),
            *("shoulder cosine", "shoulder sine", "shoulder velocity"),
            *("elbow angle", "elbow velocity"),
        ),
        ("shoulder", "elbow"),
    ),
    "Pusher": _handling("puck x", "puck y", "target x", "target y", gap="xy"),
    "Thrower": _handling("target x", "target y", gap="xyz"),
    "Minitaur": SpaceNames(
        (
            *(
                f"{corner} {motor} {what}"
                for what in ("angle", "velocity", "torque")
                for corner in _CORNERS
                for motor in "LR"
            ),
            *(f"attitude {axis}" for axis in "xyzw"),
        ),
        tuple(f"{corner} {what}" for what in ("extension", "swing") for corner in _CORNERS),
    ),
    "ObstacleCar": SpaceNames(
        tuple(f"column {number}" for number in range(1, 21)), ("straight", "left", "right")
    ),
    # Of Gymnasium, as its pages describe them.
    "CartPole-v1": SpaceNames(
        ("cart position", "cart velocity", "pole angle", "pole velocity"),
        ("push left", "push right"),
    ),
    "Acrobot-v1": SpaceNames(
        (
            *(f"angle {number} {part}" for number in (1, 2) for part in ("cosine", "sine")),
            *("velocity 1", "velocity 2"),
        ),
        ("torque \N{MINUS SIGN}1", "no torque", "torque 1"),
    ),
    "MountainCar-v0": SpaceNames(("position", "velocity"), ("push left", "no push", "push right")),
    "MountainCarContinuous-v0": SpaceNames(("position", "velocity"), ("force",)),
    "Pendulum-v1": SpaceNames(("angle cosine", "angle sine", "angular velocity"), ("torque",)),
    "LunarLander-v3": SpaceNames(
        (
            *("x", "y", "x velocity", "y velocity", "angle", "angular velocity"),
            *("left leg contact", "right leg contact"),
        ),
        ("nothing", "left engine", "main engine", "right engine"),
    ),
    "HalfCheetah-v5": _in_plane(_CHEETAH),
    "Hopper-v5": _in_plane(_LEG),
    "Walker2d-v5": _in_plane(_WALKER),
    "Swimmer-v5": SpaceNames(
        (
            *("front angle", "rotor 1 angle", "rotor 2 angle", "x velocity", "y velocity"),
            *("front velocity", "rotor 1 velocity", "rotor 2 velocity"),
        ),
        ("rotor 1", "rotor 2"),
    ),
}


def space_names(
    env_id: str, n_observation: int, n_action: int, clock: Sequence[float] = ()
) -> SpaceNames:
    """Names for the numbers of an environment's observations and actions; else their indices.

    Args:
        env_id: as it is registered; of one of the toolkit's also its short name.
        n_observation: how many numbers an observation has; wrappers and arguments may change it.
        n_action: how many numbers, or choices, an action has.
        clock: the frequencies of its clock, in hertz, whose numbers are an observation's last.
    """
    if env_id.startswith(("bullet/", "driving/")):
        env_id = env_id.partition("/")[2].removesuffix("-v0")
    known = SPACE_NAMES.get(env_id, SpaceNames((), ()))
    observation, action = known
    times = tuple(f"clock {hertz:g} Hz {part}" for hertz in clock for part in ("sine", "cosine"))
    if len(times) > n_observation:  # in a file that others have edited
        times = ()
    n_own = n_observation - len(times)
    if len(observation) != n_own:
        observation = tuple(f"input {index}" for index in range(n_own))
    if len(action) != n_action:
        action = tuple(f"action {index}" for index in range(n_action))
    return SpaceNames(observation + times, action)
