"""How each searched parameter of a spec is scaled: logarithmic, linear or a choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

Scale = Literal["log", "linear", "choice"]
PREFIX = "params."


def parameter_names(trials: pd.DataFrame) -> list[str]:
    """Return the searched parameters of a frame of trials, without their ``params.`` prefix."""
    return [str(column).removeprefix(PREFIX) for column in trials.columns if str(column).startswith(PREFIX)]


def parameter_scale(spec: Mapping[str, Any], name: str, values: pd.Series) -> Scale:
    """Return the kind of axis for a parameter: as the spec says, else by its values.

    Args:
        spec: the sweep's spec; ``spec["parameters"]`` may be flat or nested, its leaves carry ``distribution`` or
            ``values``.
        name: flat name, e.g. ``total_variation.weight``.
        values: the values tried.
    """
    found = _leaf(spec.get("parameters"), name)
    if isinstance(found, Mapping):
        if found.get("values") is not None:
            return "choice"
        distribution = str(found.get("distribution") or "")
        if distribution:
            return "choice" if distribution == "categorical" else "log" if "log" in distribution else "linear"
    known = values.dropna()
    numeric = pd.api.types.is_numeric_dtype(known) and not pd.api.types.is_bool_dtype(known)
    return "linear" if numeric else "choice"


def _leaf(node: Any, name: str) -> Any:
    """Return the node of a dotted name; a key may itself contain dots (``total_variation.weight``, ``conv2/relu``)."""
    if not isinstance(node, Mapping):
        return None
    if name in node:
        return node[name]
    for key, child in node.items():
        if name.startswith(f"{key}."):
            found = _leaf(child, name[len(str(key)) + 1 :])
            if found is not None:
                return found
    return None
