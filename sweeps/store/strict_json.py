"""JSON without NaN: what the store's JSON columns hold."""

from __future__ import annotations

import json
from typing import Any


def strict_json(value: Any) -> str:
    """Return compact JSON; numpy scalars become numbers, NaN and infinities raise ValueError."""
    return _ENCODER.encode(value)


def require_json(where: str, **values: Any) -> None:
    """Refuse values that strict JSON cannot hold, before a transaction begins.

    Raises:
        ValueError: says where, which value and why.
    """
    for name, value in values.items():
        try:
            strict_json(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {name} must be finite JSON: {error}") from error


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in JSON")


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)
