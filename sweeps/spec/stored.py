"""A spec as the store keeps it: checked once when its sweep began, and read back by the versions that follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from restoration_core.errors import InputError, brief
from sweeps.spec.models import SweepSpec


def stored_spec(name: str, kept: Mapping[str, Any]) -> SweepSpec:
    """Return the spec of a stored sweep.

    Args:
        name: of the sweep, for the message.
        kept: the spec as plain data, as ``SweepSpec.model_dump`` gave it.

    Raises:
        InputError: this version does not know a field of it, or no longer takes its value.
    """
    try:
        return SweepSpec.model_validate(kept)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "spec"
        what = " ".join(first["msg"].split())
        raise InputError(
            f"the stored spec of sweep {name!r} does not fit this version: {where}: {what}, but got "
            f"{brief(first['input'])}; valid: the version that the sweep was started with, or a sweep of its own"
        ) from error
