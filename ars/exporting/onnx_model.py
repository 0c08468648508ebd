"""A policy as an ONNX model: `observation` [batch, ...] to `action` [batch, ...].

The graph is written node by node, since it is short and then needs the package `onnx` alone, not
torch and its exporter. ONNX Runtime checks it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import RunError, UsageError
from ars.exporting.formats import Exported, Origin
from ars.exporting.plain import PlainPolicy
from policies import Policy

OPSET, IR_VERSION = 17, 8  # of 2022, so that older runtimes read it
_ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "sigmoid": "Sigmoid"}
_HINT = "pip install onnx onnxruntime (from a checkout: pip install -e '.[onnx]')"


def write(policy: Policy, plain: PlainPolicy, origin: Origin) -> Exported:
    """Raises: UsageError for types that ONNX Runtime lacks; RunError without the packages."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise RunError(f"`format` onnx: needs {error.name}: {_HINT}") from None
    data = _Graph(policy, plain).model(origin).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = 1
    try:
        onnx.checker.check_model(data, full_check=True)
        session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class of their own
        said = " ".join(str(error).split())
        raise UsageError(
            f"`format` onnx: ONNX Runtime does not take observations of type "
            f"{policy.spec.observation.dtype} and actions of type {plain.dtype.name} ({said})"
        ) from None

    def act(observations: NDArray[Any]) -> NDArray[Any]:
        actions: NDArray[Any] = session.run(None, {"observation": observations})[0]
        return actions

    return Exported(data, act)


class _Graph:
    """Builds the graph; `self._at` is the name of the value that the next node takes."""

    def __init__(self, policy: Policy, plain: PlainPolicy) -> None:
        self._spec, self._plain = policy.spec, plain
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._at = "observation"

    def model(self, origin: Origin) -> Any:
        """The whole model."""
        from onnx import helper

        plain, observation = self._plain, self._spec.observation
        if plain.convolutions:
            self._image()
        else:
            self._vector()
        self._layers()
        if plain.start is not None:
            self._add("ArgMax", axis=1, keepdims=0)
            self._add("Add", np.array(plain.start, np.int64))
        else:
            self._bound()
        self._nodes.append(helper.make_node("Identity", [self._at], ["action"]))
        graph = helper.make_graph(
            self._nodes,
            "policy",
            [helper.make_tensor_value_info(
                "observation", _element_type(np.dtype(observation.dtype)),
                ["batch", *observation.shape],
            )],
            [helper.make_tensor_value_info(
                "action", _element_type(plain.dtype), ["batch", *plain.shape]
            )],
            self._constants,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version, model.producer_name = IR_VERSION, "ars"
        helper.set_model_props(model, {"about": origin.about})
        return model

    def _add(self, kind: str, *constants: NDArray[Any], **attributes: Any) -> None:
        """A node whose first input is the value so far."""
        from onnx import helper, numpy_helper

        names = []
        for array in constants:
            names.append(f"constant_{len(self._constants)}")
            contiguous = np.asarray(array, order="C")
            self._constants.append(numpy_helper.from_array(contiguous, names[-1]))
        result = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, [self._at, *names], [result], **attributes))
        self._at = result

    def _cast(self, dtype: Any) -> None:
        self._add("Cast", to=_element_type(np.dtype(dtype)))

    def _vector(self) -> None:
        plain = self._plain
        self._cast(np.float64)
        self._add("Flatten", axis=1)
        if plain.mean is not None and plain.std is not None:
            self._add("Sub", plain.mean)
            self._add("Div", plain.std)
        if plain.clip is not None:
            self._add("Clip", np.float64(-plain.clip), np.float64(plain.clip))  # type: ignore[arg-type]

    def _image(self) -> None:
        self._cast(np.float32)
        if self._spec.channels_last:
            self._add("Transpose", perm=[0, 3, 1, 2])
        self._add("Reshape", np.array([-1, *self._spec.image_shape], np.int64))
        self._add("Mul", np.array(1.0 / 255.0, np.float32))
        for layer in self._plain.convolutions:
            arrays = layer.weight.astype(np.float32), layer.bias.astype(np.float32)
            self._add("Conv", *arrays, strides=[layer.stride] * 2)
            self._add(_ACTIVATIONS[self._plain.activation])
        self._add("Flatten", axis=1)

    def _layers(self) -> None:
        plain = self._plain
        dtype = np.float32 if plain.convolutions else np.float64
        for index, layer in enumerate(plain.layers):
            if index:
                self._add(_ACTIVATIONS[plain.activation])
            arrays = [array.astype(dtype) for array in layer if array is not None]
            self._add("Gemm", *arrays, transB=1)
        if plain.convolutions:
            self._cast(np.float64)
        if plain.squashes:
            self._add("Tanh")

    def _bound(self) -> None:
        plain = self._plain
        floating = plain.dtype.kind == "f"
        if plain.middle is not None and plain.half is not None:
            self._add("Mul", plain.half)
            self._add("Add", plain.middle)
            if not floating:
                self._add("Round")
        if floating:
            self._cast(plain.dtype)
        if plain.low is not None and plain.high is not None:
            self._add("Max", plain.low)
            self._add("Min", plain.high)
        if not floating:
            self._cast(plain.dtype)
        self._add("Reshape", np.array([-1, *plain.shape], np.int64))


def _element_type(dtype: np.dtype[Any]) -> int:
    from onnx import helper

    try:
        return int(helper.np_dtype_to_tensor_dtype(dtype))
    except (KeyError, ValueError):
        raise UsageError(f"`format` onnx: ONNX has no type {dtype.name}") from None
