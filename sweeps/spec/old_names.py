"""Names that specs and stores of earlier versions have for parameters, and what they are called now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OLD_GROUPS = {"range": "isotropic_range"}


def current_name(name: str) -> str:
    """Return what a parameter, or a prior's group of them, is called now.

    >>> current_name("range.weight"), current_name("jitter")
    ('isotropic_range.weight', 'jitter')
    """
    group, dot, child = name.partition(".")
    return f"{_OLD_GROUPS.get(group, group)}{dot}{child}"


def with_current_names(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat parameters, or anything else by their names, under the names of today."""
    return {current_name(str(name)): value for name, value in parameters.items()}


def current_unit_name(name: str) -> str:
    """Return what the unit of a prior is called now, ``isotropic_range alpha 6.0``."""
    group, space, rest = name.partition(" ")
    return f"{_OLD_GROUPS.get(group, group)}{space}{rest}"
