"""A policy as one C header: C99 and C++, no dependencies beside the C library.

The header's arithmetic is the policy's own: products are rounded before they are added, in the
order of the inputs, and functions are those of the C library.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ars.common.errors import UsageError
from ars.exporting.c_compiler import CompiledHeader
from ars.exporting.formats import Exported, Origin
from ars.exporting.plain import PlainPolicy
from policies import Policy

MOST_WEIGHTS = 100_000  # beyond some 2 MB of text, a header is the wrong place for numbers
N_VECTORS = 20  # of the test program, which has to fit a microcontroller too

_TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "uint8_t",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_ACTIVATIONS = {
    "tanh": "tanh(x)",
    "relu": "x > 0.0 ? x : 0.0",
    "sigmoid": "x > -700.0 ? 1.0 / (1.0 + exp(-x)) : 0.0",
}

_TOP = """\
/*
 * A policy for {env_id}
 * {description}
 *
 *     #include "{file}"
 *
 *     double observation[{NAME}_N_OBSERVATIONS];
 *     {example}
 *
 * C99 or C++11, without dependencies. {compare}{clock}
 */
#ifndef {NAME}_POLICY_H
#define {NAME}_POLICY_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if DBL_MANT_DIG < 53
#error "this policy needs a double of 64 bits (avr-gcc: -mdouble=64)"
#endif
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__)
#error "-ffast-math and -fassociative-math change what this policy computes"
#endif
#if defined(FLT_EVAL_METHOD) && (FLT_EVAL_METHOD == 2 || FLT_EVAL_METHOD < 0)
#error "sums must be rounded to doubles (on x86: -msse2 -mfpmath=sse)"
#endif

#define {NAME}_N_OBSERVATIONS {n_in}
#define {NAME}_N_ACTIONS {n_actions}

/* y = W x + b. What is volatile cannot be fused with the sum: each product is rounded by itself. */
static inline void {name}_layer(const double *weight, const double *bias, size_t n_in,
                                size_t n_out, const double *x, double *y)
{{
    size_t i, j;
    for (j = 0; j < n_out; j++) {{
        volatile double product = weight[j * n_in] * x[0];
        double sum = product;
        for (i = 1; i < n_in; i++) {{
            product = weight[j * n_in + i] * x[i];
            sum += product;
        }}
        y[j] = bias ? sum + bias[j] : sum;
    }}
}}
"""

_FUNCTION = """
static inline double {name}_{function}(double x)
{{
    return {formula};
}}
"""

_TEST = """\
/*
 * Does {name}.h act here as it did where it was exported? Exits with the number of observations
 * for which it does not. Compile it with the flags of your own program, and -lm.
 */
#include <stdio.h>
#include <stdlib.h>

#include "{name}.h"

#define N_VECTORS {count}

static const double observations[N_VECTORS][{NAME}_N_OBSERVATIONS] = {{
{observations}
}};

static const {type} actions[N_VECTORS][{NAME}_N_ACTIONS] = {{
{actions}
}};

int main(void)
{{
    int i, wrong = 0;
    for (i = 0; i < N_VECTORS; i++) {{
        {type} action[{NAME}_N_ACTIONS];
        int j, differs = 0;
        {call}
        for (j = 0; j < {NAME}_N_ACTIONS; j++) {{
            {compare}
        }}
        wrong += differs;
    }}
    printf("%d of %d actions differ\\n", wrong, N_VECTORS);
    return wrong;
}}
"""


def write(policy: Policy, plain: PlainPolicy, origin: Origin) -> Exported:
    """Raises: UsageError for what a header cannot hold; RunError without a C compiler."""
    if plain.convolutions:
        raise UsageError(
            "`format` c: a header has no convolutions, and this policy sees images; use onnx or "
            "torch"
        )
    if plain.dtype.name not in _TYPES:
        raise UsageError(f"`format` c: C has no type for {plain.dtype.name} actions; use npz")
    if policy.network_weights.size > MOST_WEIGHTS:
        raise UsageError(
            f"`format` c: {policy.network_weights.size:,} weights; a header takes "
            f"{MOST_WEIGHTS:,}; use onnx, torch or npz"
        )
    if re.search(r'["\\\x00-\x1f\ud800-\udfff]', origin.name):  # or bytes that are no text
        raise UsageError(f"`output` {origin.name}: a C program cannot include a file of this name")
    header = HeaderText(plain, origin)
    text = header.text()
    compiled = CompiledHeader(text, header.name, plain.start is not None, header.type, plain)
    return Exported(
        text.encode(), compiled.act, bits=not plain.uses_libm, beside={"_test.c": header.test}
    )


class HeaderText:
    """The text of a header, and of the program that tests it."""

    def __init__(self, plain: PlainPolicy, origin: Origin) -> None:
        self.plain, self.origin = plain, origin
        self.name = identifier(origin.name)
        self.discrete = plain.start is not None
        self.type = "int64_t" if self.discrete else _TYPES[plain.dtype.name]

    def _words(self) -> dict[str, Any]:
        n_actions = 1 if self.discrete else len(self.plain.layers[-1].weight)
        example = f"{self.type} action[{self.name.upper()}_N_ACTIONS];"
        call = f"{self.name}_act(observation, action);"
        return {
            "name": self.name,
            "NAME": self.name.upper(),
            "type": self.type,
            "n_in": self.plain.layers[0].weight.shape[1],
            "n_actions": n_actions,
            "example": f"{self.type} action = {self.name}_act(observation);"
            if self.discrete
            else f"{example}\n *     {call}",
        }

    def text(self) -> str:
        """The header."""
        plain = self.plain
        compare = "Its actions are the policy's to the last bit."
        if plain.uses_libm:
            compare = "Its actions are the policy's, to the last bit if the C library is."
        parts = [
            _TOP.format(
                **self._words(),
                file=self.origin.file,
                env_id=_comment(self.origin.env_id),
                description=_comment(self.origin.description),
                compare=compare,
                clock=f"\n * {_comment(self.origin.clock)}." if self.origin.clock else "",
            )
        ]
        if len(plain.layers) > 1:
            formula = _ACTIVATIONS[plain.activation]
            parts.append(_FUNCTION.format(name=self.name, function="activate", formula=formula))
        parts.append(self._act())
        parts.append("\n#endif\n")
        return "".join(parts)

    def _act(self) -> str:
        name, plain, words = self.name, self.plain, self._words()
        observation = f"const double observation[{words['NAME']}_N_OBSERVATIONS]"
        if self.discrete:
            head = f"static inline int64_t {name}_act({observation})"
        else:
            head = (
                f"static inline void {name}_act({observation},\n"
                f"        {self.type} action[{words['NAME']}_N_ACTIONS])"
            )
        widest = max(words["n_in"], *(len(layer.weight) for layer in plain.layers))
        lines = [*self._tables(), f"    double x[{widest}], y[{widest}];", "    size_t i;"]
        lines += self._normalise(words["n_in"])
        for index, layer in enumerate(plain.layers):
            n_out, n_in = layer.weight.shape
            if index:
                lines.append(_loop(n_in, f"x[i] = {name}_activate(y[i]);"))
            bias = "NULL" if layer.bias is None else f"bias_{index}"
            lines.append(f"    {name}_layer(weight_{index}, {bias}, {n_in}, {n_out}, x, y);")
        if plain.squashes:
            lines.append(_loop(n_out, "y[i] = tanh(y[i]);"))
        lines += self._choose() if self.discrete else self._bound(n_out)
        return "\n".join(("", head, "{", *lines, "}", ""))

    def _tables(self) -> list[str]:
        plain = self.plain
        tables: dict[str, Any] = {"mean": plain.mean, "std": plain.std}
        for index, layer in enumerate(plain.layers):
            tables |= {f"weight_{index}": layer.weight, f"bias_{index}": layer.bias}
        tables |= {"middle": plain.middle, "half": plain.half}
        lines = [_table("double", name, table) for name, table in tables.items()]
        if plain.low is not None and plain.high is not None:
            kind = self.type if plain.dtype.kind == "f" else "double"
            lines += [_table(kind, "low", plain.low), _table(kind, "high", plain.high)]
        return list(filter(None, lines))

    def _normalise(self, n_in: int) -> list[str]:
        plain = self.plain
        value = "observation[i]" if plain.mean is None else "(observation[i] - mean[i]) / std[i]"
        lines = [_loop(n_in, f"x[i] = {value};")]
        if plain.clip is not None:
            bound = _number(plain.clip)
            lines.append(
                _loop(n_in, f"x[i] = x[i] < -{bound} ? -{bound} : x[i] > {bound} ? {bound} : x[i];")
            )
        return lines

    def _choose(self) -> list[str]:
        n_out = len(self.plain.layers[-1].weight)
        start = self.plain.start
        return [
            "    int64_t best = 0;",
            _loop(n_out, "if (y[i] > y[best]) best = (int64_t)i;"),
            "    return best;" if not start else f"    return best + ({start});",
        ]

    def _bound(self, n_out: int) -> list[str]:
        plain, integer = self.plain, self.plain.dtype.kind != "f"
        body = []
        if plain.middle is not None:
            body.append("volatile double product = half[i] * y[i];")
            scaled = "middle[i] + product"
            body.append(f"y[i] = {f'rint({scaled})' if integer else scaled};")
        kind = "double" if integer else self.type
        body.append(f"const {kind} a = ({kind})y[i];")
        bounded = "a"
        if plain.low is not None:
            bounded = "(a < low[i] ? low[i] : a > high[i] ? high[i] : a)"
        if plain.dtype.kind == "b":
            bounded = f"{bounded} != 0.0"
        body.append(
            f"action[i] = ({self.type})({bounded});" if integer else f"action[i] = {bounded};"
        )
        return [_loop(n_out, *body)]

    def test(self, observations: NDArray[Any], actions: NDArray[Any]) -> bytes:
        """The test program, of some observations and their actions."""
        count = min(N_VECTORS, len(observations))
        seen = observations[:count].reshape(count, -1).astype(np.float64)
        done = actions[:count].reshape(count, -1)
        call = f"{self.name}_act(observations[i], action);"
        if self.discrete:
            call = f"action[0] = {self.name}_act(observations[i]);"
        compare = "differs |= action[j] != actions[i][j];"
        if self.plain.uses_libm and self.plain.dtype.kind == "f":
            compare = "differs |= !(fabs((double)action[j] - (double)actions[i][j]) <= 1e-6);"
        text = _TEST.format(
            **{**self._words(), "name": self.name},
            count=count,
            observations=_rows("double", seen),
            actions=_rows(self.type, done),
            call=call,
            compare=compare,
        )
        return text.replace(f'"{self.name}.h"', f'"{self.origin.file}"').encode()


def identifier(name: str) -> str:
    """A file's name as the beginning of names in C."""
    word = re.sub(r"[^a-zA-Z0-9]+", "_", name).strip("_").lower()
    return word if word[:1].isalpha() else f"policy_{word}".rstrip("_")


def _comment(text: str) -> str:
    """A text as it may stand in a comment: nothing in it ends the comment, or its line."""
    plain = json.dumps(text)[1:-1].replace("\\", "/")
    plain = re.sub(r"\?(?=\?)", "? ", plain)  # no trigraphs either
    return plain.replace("*/", "* /").replace("/*", "/ *")


def _number(value: float, kind: str = "double") -> str:
    if kind.endswith("_t"):
        value = int(value)
        if value == -(2**63):  # there is no literal of this value
            return "INT64_MIN"
        return f"{value}{'u' if value > 2**63 - 1 else ''}"
    if not np.isfinite(value):
        return f"{'-' if value < 0 else ''}HUGE_VAL{'F' if kind == 'float' else ''}"
    return f"{float(value)!r}{'f' if kind == 'float' else ''}"


def _table(kind: str, name: str, values: NDArray[Any] | None) -> str:
    if values is None:
        return ""
    return f"    static const {kind} {name}[{values.size}] = {{\n{_numbers(kind, values)}\n    }};"


def _numbers(kind: str, values: NDArray[Any], indent: str = " " * 8) -> str:
    lines, line = [], indent
    for value in values.ravel().tolist():
        word = f"{_number(value, kind)},"
        if len(line) + len(word) > 99 and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += f"{word} "
    return "\n".join((*lines, line.rstrip()))


def _rows(kind: str, rows: NDArray[Any]) -> str:
    return "\n".join(f"    {{\n{_numbers(kind, row)}\n    }}," for row in rows)


def _loop(count: int, *body: str) -> str:
    if len(body) == 1:
        return f"    for (i = 0; i < {count}; i++)\n        {body[0]}"
    lines = "\n".join(f"        {line}" for line in body)
    return f"    for (i = 0; i < {count}; i++) {{\n{lines}\n    }}"
