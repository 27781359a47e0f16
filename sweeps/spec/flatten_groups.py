"""The ``parameters`` section of a spec, turned from groups into flat names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restoration_core.errors import brief
from sweeps.spec.old_names import current_name
from sweeps.spec.parameter_names import (
    ENABLED,
    HAND_CRAFTED,
    OF_TRAINED,
    OPTIONAL,
    group_of,
    is_trained_group,
    known_parameter,
    unknown_parameter,
)

Path = tuple[str | int, ...]
Fault = tuple[Path, str]

_FORMS = {"value", "values", "distribution"}
"""Keys of a single parameter; no parameter of a prior has one of these names."""


def flatten(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path], list[Fault]]:
    """Turn the ``parameters`` section into flat names.

    ``total_variation: {weight: ..., beta: ...}`` becomes ``total_variation.weight`` and ``total_variation.beta``, and
    ``optional: true`` in a group becomes the searched switch ``<group>.enabled``; scalars become ``{value: ...}``.

    Returns:
        parameters by flat name; where each is written, as a path below ``parameters``; faults with their paths.
    """
    flat: dict[str, Any] = {}
    origin: dict[str, Path] = {}
    faults: list[Fault] = []

    def put(written: str, value: Any, path: Path) -> None:
        name = current_name(written)
        if name in flat:
            faults.append((path, f"{name} is given twice; valid: once, flat or inside its group"))
            return
        if known_parameter(name) is None:
            faults.append((path, unknown_parameter(name)))
            return
        origin[name] = path
        flat[name] = value if isinstance(value, Mapping) else {"value": value}

    for key, value in raw.items():
        if not _is_group(current_name(key), value):
            put(key, value, (key,))
        elif not isinstance(value, Mapping) or _FORMS & set(value):
            faults.append(((key,), f"{key} must be a group such as {{weight: 0.1}}, but got {brief(value)}"))
        else:
            for child, inner in value.items():
                if child == OPTIONAL:
                    if not isinstance(inner, bool):
                        faults.append(((key, child), f"optional must be true or false, but got {brief(inner)}"))
                    elif inner:
                        put(f"{key}.{ENABLED}", {"values": [False, True]}, (key, child))
                else:
                    put(f"{key}.{child}", inner, (key, child))
    return flat, origin, faults


def _is_group(key: str, value: Any) -> bool:
    """Return whether a key is a prior's group rather than a flat name.

    The last part of a layer's name may look like a child (``priors.block.prior``): what stands below decides.
    """
    if key in HAND_CRAFTED:
        return True
    if not is_trained_group(key):
        return False
    if group_of(key) is None:
        return True
    if not isinstance(value, Mapping) or _FORMS & set(value):
        return False
    return known_parameter(key) is None or any(child in value for child in (*OF_TRAINED, OPTIONAL))
