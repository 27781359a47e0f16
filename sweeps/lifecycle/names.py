"""A sweep's name, and what to say when another spec has it already: a sweep keeps the spec that it was started with."""

from __future__ import annotations

import itertools
import json
from collections.abc import Container, Mapping
from typing import Any

from restoration_core.errors import InputError
from sweeps.spec.load import check_name
from sweeps.spec.models import SweepSpec
from sweeps.spec.stored import stored_spec
from sweeps.store.views import SweepView
from sweeps.store.writing.sweep_rows import NameTaken

_LONGEST = 100
_LONGEST_VALUE = 60
_SHOWN = 3


def renamed(spec: SweepSpec, name: str) -> SweepSpec:
    """Return the spec under another name.

    Raises:
        InputError: a sweep cannot be called so.
    """
    check_name(name)
    return spec.model_copy(update={"name": name})


def free_name(name: str, taken: Container[str]) -> str:
    """Return ``name``, or the first of NAME-2, NAME-3, ... that is not taken; a long one is cut to make room."""
    numbered = (f"-{number}" for number in itertools.count(2))
    candidates = itertools.chain([name], (f"{name[: _LONGEST - len(end)]}{end}" for end in numbered))
    return next(candidate for candidate in candidates if candidate not in taken)


def check_same(view: SweepView, spec: SweepSpec) -> None:
    """Check that a stored sweep is the one that the spec describes.

    Raises:
        InputError: a field differs, with its value there and here.
    """
    found = differences(stored_spec(view.name, view.spec), spec)
    if not found:
        return
    shown = [f"{path} is {_said(there)} there and {_said(here)} here" for path, (there, here) in found.items()]
    more = [f"and {len(shown) - _SHOWN} more fields differ"] if len(shown) > _SHOWN else []
    kept = "number of trials" if "method.trials" in found else "spec"
    raise InputError(
        f"sweep {view.name!r} exists already and keeps its {kept}: {', '.join([*shown[:_SHOWN], *more])}; "
        "valid: another name (--name NAME, or --again for the next free one), or the spec that it was started with"
    )


def refuse(view: SweepView, spec: SweepSpec) -> NameTaken:
    """Return the error for a spec whose name a stored sweep has.

    Raises:
        InputError: the stored sweep has another spec.
    """
    check_same(view, spec)
    return NameTaken(view.name)


def differences(there: SweepSpec, here: SweepSpec) -> dict[str, tuple[Any, Any]]:
    """Return the fields of two specs that differ, but for the name, by their path: the values there and here."""
    ours, theirs = (_flat(spec.model_dump(mode="json", exclude={"name", "yaml_text"})) for spec in (here, there))
    paths = [*theirs, *(path for path in ours if path not in theirs)]
    return {path: (theirs.get(path), ours.get(path)) for path in paths if theirs.get(path) != ours.get(path)}


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        path = f"{before}{key}"
        flat |= _flat(item, f"{path}.") if isinstance(item, Mapping) and item else {path: item}
    return flat


def _said(value: Any) -> str:
    text = "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
