"""Numbers in words for the user."""

from __future__ import annotations

import math

LONG = 1e15  # from which numbers have exponents


def duration(seconds: float) -> str:
    """Seconds in words: `42 s`, `7 min 05 s`, `3 h 20 min`."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def rounded(number: float, decimals: int = 1) -> str:
    """A number with so many decimals: `1,811.0`; never a zero with a sign."""
    if abs(number) >= LONG:
        return f"{number:.2e}"
    return f"{round(number, decimals) + 0.0:,.{decimals}f}"  # adding zero turns -0.0 into 0.0


def digits(number: float, decimals: int = 1) -> str:
    """A number with so many decimals, or with more where fewer than three digits would say it.

    `1,811.0`, `12.3`, `1.23`, `-0.0123`, `0.0`; never a zero with a sign.
    """
    if not math.isfinite(number) or number == 0.0:
        return rounded(number, decimals)
    leading = math.floor(math.log10(abs(number)))  # the power of ten of its first digit
    if leading < -4:
        return f"{number:.2e}"
    return rounded(number, max(decimals, 2 - leading))
