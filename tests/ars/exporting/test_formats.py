"""What is exported acts as the policy; what cannot be exported is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_policy import COMPILER
from gymnasium import spaces

import envs
from ars.common.errors import RunError, UsageError
from ars.exporting import export
from ars.exporting.check import check
from ars.exporting.export import clock_inputs, export_policy
from ars.exporting.formats import Exported
from ars.exporting.settings import FORMATS
from policies import Normalizer, NormalizerRule, Policy, PolicyFile, make_policy

FLOATS = spaces.Box(-np.inf, np.inf, (4,), np.float32)
BYTES = spaces.Box(0, 255, (2, 3), np.uint8)
IMAGES = spaces.Box(0, 255, (20, 22, 3), np.uint8)
PICTURES = spaces.Box(0, 255, (1, 40, 40), np.uint8)
JOINTS = spaces.Box(-1, 1, (3,), np.float32)

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def with_weights(policy: Policy, clip: float | None = None) -> Policy:
    rng, size = np.random.default_rng(1), policy.spec.observation.size
    policy.weights = rng.standard_normal(policy.spec.n_weights)
    if clip is not None:
        variance = np.concatenate(([0.0], rng.uniform(0.1, 2.0, size - 1)))
        policy.normalizer = Normalizer(
            rng.standard_normal(size), variance, 9, NormalizerRule(clip=clip)
        )
    return policy


def exported(policy: Policy, format: str, tmp_path: Path, env_id: str = "Robot-v0") -> Any:
    output = tmp_path / f"robot{FORMATS[format].suffix}"
    return export_policy(PolicyFile(policy, env_id), format, output)


def joints() -> Policy:
    return with_weights(make_policy("linear", FLOATS, JOINTS), clip=2.0)


def choices() -> Policy:
    actions = spaces.Discrete(4, start=-5)
    return with_weights(make_policy("mlp", FLOATS, actions, hidden_sizes=(6, 5)))


def integers() -> Policy:
    low, high = np.array([0, 3], np.uint8), np.array([9, 200], np.uint8)
    actions = spaces.Box(low, high, dtype=np.uint8)
    options = {"hidden_sizes": (5,), "activation": "relu", "scale_actions": True}
    return with_weights(make_policy("mlp", BYTES, actions, **options))


def squashed() -> Policy:
    actions = spaces.Box(np.array([[-2.0], [0.0]]), np.array([[3.0], [1.0]]), dtype=np.float64)
    options = {"hidden_sizes": (5,), "activation": "sigmoid", "scale_actions": True}
    return with_weights(make_policy("squashed-mlp", FLOATS, actions, **options), clip=1.0)


def unbounded() -> Policy:
    low, high = np.array([-1, -np.inf], np.float32), np.array([np.inf, 1], np.float32)
    return with_weights(make_policy("linear", FLOATS, spaces.Box(low, high), bias=True))


def wide() -> Policy:
    actions = spaces.Box(-(2**63), 0, (2,), np.int64)
    policy = with_weights(make_policy("linear", FLOATS, actions))
    policy.weights = 1e19 * policy.weights
    return policy


POLICIES = (joints, choices, integers, squashed, unbounded)


@pytest.mark.parametrize("make", POLICIES)
@pytest.mark.parametrize("format", ["npz", pytest.param("c", marks=needs_compiler)])
def test_arrays_and_headers_act_as_the_policy_to_the_last_bit(
    make: Any, format: str, tmp_path: Path
) -> None:
    done = exported(make(), format, tmp_path)
    assert done.comparison == "equal to the policy's to the last bit for 1,000 observations"
    assert all(path.is_file() for path in (done.path, *done.beside))


@pytest.mark.parametrize("make", POLICIES)
def test_onnx_models_act_as_the_policy(make: Any, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    policy = make()
    done = exported(policy, "onnx", tmp_path)
    session = onnxruntime.InferenceSession(str(done.path))
    with np.load(done.beside[0]) as vectors:
        given, wanted = vectors["observations"], vectors["actions"]
    [actions] = session.run(None, {"observation": given[:7]})
    assert actions.dtype == wanted.dtype and actions.shape == wanted[:7].shape
    np.testing.assert_allclose(actions, wanted[:7], rtol=1e-6, atol=1e-9)
    assert np.array_equal(wanted[3], policy.act(given[3]))
    about = json.loads(session.get_modelmeta().custom_metadata_map["about"])
    assert about["env_id"] == "Robot-v0"


@pytest.mark.parametrize("make", [choices, squashed])
def test_torch_programs_act_as_the_policy(make: Any, tmp_path: Path) -> None:
    import torch

    done = exported(make(), "torch", tmp_path)
    program = torch.export.load(done.path).module()
    with np.load(done.beside[0]) as vectors:
        given, wanted = vectors["observations"], vectors["actions"]
    actions = program(torch.from_numpy(given[:7])).numpy()
    np.testing.assert_allclose(actions, wanted[:7], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_policies_of_images_are_exported(format: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    layers = {"conv_layers": ((4, 5, 2), (3, 3, 1)), "hidden_sizes": (6,)}
    policy = make_policy("cnn", IMAGES, spaces.Discrete(3), **layers)
    policy.weights = 0.1 * with_weights(policy).weights
    assert "1,000 observations" in exported(policy, format, tmp_path).comparison


@needs_compiler
@pytest.mark.parametrize("make", [joints, choices, integers, squashed, wide])
@pytest.mark.parametrize(
    "flags",
    [
        ("cc", "-std=c99"),
        # This would fuse a product and a sum, where the processor can.
        ("cc", "-std=gnu11", "-O3", "-march=native", "-ffp-contract=fast"),
        ("c++", "-std=c++11", "-x", "c++"),
        ("c++", "-std=c++20", "-x", "c++"),
    ],
)
def test_the_program_beside_a_header_finds_no_difference(
    make: Any, flags: tuple[str, ...], tmp_path: Path
) -> None:
    if shutil.which(flags[0]) is None:
        pytest.skip(f"there is no {flags[0]}")
    done = exported(make(), "c", tmp_path)
    assert done.path.stat().st_size < 8_000
    [source] = [path for path in done.beside if path.suffix == ".c"]
    strict = ("-Wall", "-Wextra", "-Werror", "-pedantic")
    program = tmp_path / "test"
    subprocess.run([*flags, *strict, str(source), "-o", str(program), "-lm"], check=True)
    assert subprocess.check_output(program, text=True) == "0 of 20 actions differ\n"


@needs_compiler
def test_what_stands_beside_an_export_is_replaced_with_it_alone(tmp_path: Path) -> None:
    for _ in range(2):
        exported(joints(), "c", tmp_path)
    (tmp_path / "robot.h").unlink()
    exported(joints(), "c", tmp_path)  # the same stands there
    (tmp_path / "robot.h").unlink()
    (tmp_path / "robot_test.c").write_text("mine")
    with pytest.raises(UsageError, match=r"robot_test\.c, which would stand beside it, is there"):
        exported(joints(), "c", tmp_path)
    assert (tmp_path / "robot_test.c").read_text() == "mine"
    assert not (tmp_path / "robot.h").exists()


@needs_compiler
def test_a_zero_is_the_same_with_either_sign(tmp_path: Path) -> None:
    policy = make_policy("linear", FLOATS, spaces.Box(0, 1, (1,), np.float32))
    policy.weights = np.full(policy.spec.n_weights, -0.5)
    assert "to the last bit" in exported(policy, "c", tmp_path).comparison


def test_a_name_that_c_cannot_include_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a C program cannot include a file of this name"):
        export_policy(PolicyFile(joints(), "Robot-v0"), "c", tmp_path / 'a"b.h')


def test_small_actions_for_a_black_image_count_beside_those_for_others(tmp_path: Path) -> None:
    policy = with_weights(make_policy("cnn", PICTURES, JOINTS, conv_layers=((4, 8, 4),)))
    policy.weights = 0.1 * policy.weights
    black = policy.forward(policy.flatten(np.zeros(PICTURES.shape, np.uint8)))
    weights = policy.weights
    weights[-3:] -= (1.0 - 1e-4) * black  # the bias of the last layer
    policy.weights = weights
    exported(policy, "onnx", tmp_path)


@needs_compiler
def test_the_program_of_a_header_includes_it_however_it_ends(tmp_path: Path) -> None:
    done = export_policy(PolicyFile(joints(), "Robot-v0"), "c", tmp_path / "gait.H")
    assert '#include "gait.H"' in done.path.read_text()
    program = tmp_path / "test"
    subprocess.run(["cc", str(tmp_path / "gait_test.c"), "-o", str(program), "-lm"], check=True)
    assert subprocess.run(program, capture_output=True).returncode == 0


@needs_compiler
@pytest.mark.parametrize("make", [joints, squashed])
def test_a_header_that_is_changed_is_found_by_its_program(make: Any, tmp_path: Path) -> None:
    done = exported(make(), "c", tmp_path)
    text = done.path.read_text()
    done.path.write_text(text.replace("sum += product", "sum -= product"))
    program = tmp_path / "test"
    subprocess.run(["cc", str(tmp_path / "robot_test.c"), "-o", str(program), "-lm"], check=True)
    assert subprocess.run(program, capture_output=True).returncode > 0


@needs_compiler
def test_an_environment_s_name_is_a_comment_in_a_header_whatever_it_is(tmp_path: Path) -> None:
    done = exported(joints(), "c", tmp_path, env_id='a*/\n#error "x" /* \\\n')
    assert "A policy for a* /" in done.path.read_text()
    exported(joints(), "c", tmp_path, env_id=r"a*\x ??/ b*/\*")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("HalfCheetah", "halfcheetah"), ("ALE-Pong-v5", "ale_pong_v5"), ("7", "policy_7"),
     ("größe", "gr_e"), ("--", "policy")],
)  # fmt: skip
def test_names_in_a_header_follow_the_file(stem: str, name: str) -> None:
    from ars.exporting.c_header import identifier

    assert identifier(stem) == name


def test_the_recipe_in_an_npz_needs_nothing_but_numpy(tmp_path: Path) -> None:
    policy = squashed()
    done = exported(policy, "npz", tmp_path)
    with np.load(done.path) as stored:
        arrays = dict(stored)
    recipe: dict[str, Any] = {}
    exec(str(arrays["recipe"]), recipe)
    observation = np.array([0.5, -1.0, 2.0, 0.0], np.float32)
    assert np.array_equal(recipe["act"](arrays, observation), policy.act(observation))


def test_what_does_not_act_as_the_policy_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writer(policy: Policy, *_: Any) -> Exported:
        return Exported(b"", lambda seen: np.full((len(seen), 3), 0.5, np.float32))

    monkeypatch.setattr(export, "load_writer", lambda format: writer)
    with pytest.raises(RunError, match=r"does not act as the original.*nothing is written"):
        exported(joints(), "onnx", tmp_path)
    assert list(tmp_path.iterdir()) == []


def spoilt(policy: Policy, spoil: Any, bits: bool = False) -> Exported:
    """What acts as the policy, but for what `spoil` does to the actions of a batch."""

    def act(seen: Any) -> Any:
        actions = np.stack([np.asarray(policy.act(one)) for one in seen])
        spoil(seen, actions)
        return actions

    return Exported(b"", act, bits)


def a_ten_thousandth(seen: Any, actions: Any) -> None:
    actions[-1, 0] *= 1 + 1e-4


def the_last_bit_of_the_first(seen: Any, actions: Any) -> None:
    if len(seen) == 1:
        actions[0, 0] = np.nextafter(actions[0, 0], np.float32(9))


def half_where_it_is_far_off(seen: Any, actions: Any) -> None:
    actions[np.abs(seen).max(axis=1) > 10] *= 0.5


def another_choice(seen: Any, actions: Any) -> None:
    actions[-1] = (actions[-1] + 6) % 4 - 5


def no_choice(seen: Any, actions: Any) -> None:
    actions[-1] = 0


@pytest.mark.parametrize(
    ("make", "spoil", "bits"),
    [
        (joints, a_ten_thousandth, False),
        (joints, the_last_bit_of_the_first, True),
        (joints, half_where_it_is_far_off, False),
        (choices, another_choice, False),
        (choices, no_choice, False),
    ],
)
def test_one_action_that_is_not_the_policy_s_is_found(make: Any, spoil: Any, bits: bool) -> None:
    policy = make()
    with pytest.raises(RunError, match="does not act as the original"):
        check(policy, spoilt(policy, spoil, bits))


def test_a_last_bit_is_told_where_it_may_differ() -> None:
    policy = joints()
    assert not check(policy, spoilt(policy, the_last_bit_of_the_first)).equal
    assert check(policy, spoilt(policy, lambda *_: None, bits=True)).equal


@pytest.mark.parametrize(
    ("policy", "format", "line"),
    [
        (("cnn", PICTURES, spaces.Discrete(2)), "npz", "its recipe has no convolutions"),
        (("cnn", PICTURES, spaces.Discrete(2)), "c", "a header has no convolutions"),
        (("linear", FLOATS, spaces.Box(-1, 1, (2,), np.float16)), "c", "no type for float16"),
        (
            ("linear", spaces.Box(-1, 1, (60_000,)), spaces.Box(-1, 1, (2,))),
            "c",
            "120,000 weights; a header takes 100,000; use onnx, torch or npz",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_refused(
    policy: tuple[Any, ...], format: str, line: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=line):
        exported(make_policy(*policy), format, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_header_needs_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(RunError, match=r"no C compiler here \(CC is no-such-compiler\)"):
        exported(joints(), "c", tmp_path)


def with_a_clock(env_id: str = "Robot-v0") -> PolicyFile:
    policy = with_weights(make_policy("linear", FLOATS, JOINTS))
    return PolicyFile(policy, env_id, env_kwargs={"clock": [1.5]})


def test_says_how_its_clock_goes_in_steps() -> None:
    env = envs.make("Hopper", clock=[1.5, 1 / 3])
    env.reset(seed=0)
    for _ in range(7):
        observation, *_ = env.step(env.action_space.sample())
    env.close()
    said = clock_inputs(replace(with_a_clock("Hopper"), env_kwargs={"clock": [1.5, 1 / 3]}))
    found = re.search(r"last 4 .*2 pi f k / (\d+), k steps .* f = (\S+), then (\S+)", said)
    assert found is not None
    rate, *frequencies = map(float, found.groups())
    angles = [2 * np.pi * frequency * 7 / rate for frequency in frequencies]
    wanted = [of(angle) for angle in angles for of in (np.sin, np.cos)]
    assert observation[-4:] == pytest.approx(wanted, abs=1e-6)
    wrapped = {"clock": [1.5], "wrappers": ["any:Wrapper"]}  # which may change the rate
    said = clock_inputs(replace(with_a_clock("Hopper"), env_kwargs=wrapped))
    assert said.endswith("f = 1.5, r the `render_fps` of its environment")


def test_says_which_inputs_are_a_clock(tmp_path: Path) -> None:
    done = export_policy(with_a_clock(), "npz", tmp_path / "robot.npz")
    assert "last 2 of its 4 inputs" in done.clock
    assert "f = 1.5, r the `render_fps` of its environment" in done.clock
    assert json.loads(np.load(done.path)["about"].item())["clock"] == done.clock
    without = exported(joints(), "npz", tmp_path)
    assert without.clock == ""
    assert "clock" not in json.loads(np.load(without.path)["about"].item())


@needs_compiler
def test_a_header_says_which_inputs_are_a_clock(tmp_path: Path) -> None:
    done = export_policy(with_a_clock(), "c", tmp_path / "robot.h")
    assert done.clock in done.path.read_text()
