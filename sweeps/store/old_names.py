"""Columns by parameter: rows that an earlier version wrote come back under the names of today."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Dialect, TypeDecorator

from sweeps.spec.old_names import with_current_names


class ByParameter(TypeDecorator[dict[str, Any]]):
    """A JSON object whose keys are flat names of parameters."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> dict[str, Any] | None:
        return value if value is None else with_current_names(value)


class StoredSpec(TypeDecorator[dict[str, Any]]):
    """A sweep's spec as JSON, whose ``parameters`` are flat."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> dict[str, Any] | None:
        if value is None or not isinstance(value.get("parameters"), dict):
            return value
        return {**value, "parameters": with_current_names(value["parameters"])}
