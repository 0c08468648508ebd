"""Presets of PGPE and separable CMA-ES."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PGPE: Mapping[str, Mapping[str, Any]] = {}

SEP_CMA_ES: Mapping[str, Mapping[str, Any]] = {}
