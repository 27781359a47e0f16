"""A sweep's trials as a table in a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from restoration_core.errors import InputError
from sweeps.store.frames import trials_frame
from sweeps.store.reader import Reader
from sweeps.store.strict_json import strict_json

_FIRST = ("number", "state", "attempts", "baseline", "objective")
_REST = ("seed", "finish_order", "queue_s", "compute_s", "iterations", "device", "worker", "failure")
# Spreadsheets run a cell that starts with one of these as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def export_trials(reader: Reader, name: str, path: str | Path) -> int:
    """Write one row a trial: number, state, attempts, baseline, objective, ``params.*``, ``raw.*``, ``metrics.*``, ...

    The suffix says how: ``.csv`` (UTF-8; text that a spreadsheet would run gets a leading apostrophe), ``.parquet``
    or ``.json`` (a list of objects; what is missing or not finite is null). The file appears whole or not at all.

    Returns:
        The number of trials written.

    Raises:
        InputError: no such sweep, another suffix, or a folder that is missing or closed to us.
    """
    target = Path(path)
    write = _WRITERS.get(target.suffix.lower())
    if write is None:
        raise InputError(f"cannot export to {str(path)!r}: unknown suffix {target.suffix!r}; valid: {_SUFFIXES}")
    if not target.parent.is_dir():
        raise InputError(f"cannot export to {str(path)!r}: the folder {target.parent} does not exist; make it first")
    if target.is_dir():
        raise InputError(f"cannot export to {str(path)!r}: it is a folder; give a file")
    frame = export_frame(reader, name)
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        write(frame, aside)
        os.replace(aside, target)
    except OSError as error:
        raise InputError(f"cannot export to {str(path)!r}: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)
    return len(frame)


def export_frame(reader: Reader, name: str) -> pd.DataFrame:
    """Return the table that `export_trials` writes."""
    frame = trials_frame(reader.trial_rows(name)).rename(columns={"attempt": "attempts"})
    spread = [column for column in frame.columns if column.startswith(("params.", "raw.", "metrics."))]
    return frame[[*_FIRST, *spread, *_REST]]


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    safe = frame.copy()
    for column in safe.columns:
        if safe[column].dtype == object:
            safe[column] = [_cell(value) for value in safe[column]]
    safe.columns = pd.Index([_cell(column) for column in safe.columns])
    safe.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    plain = frame.copy()
    for column in plain.columns:
        if plain[column].dtype == object:
            plain[column] = _one_type(list(plain[column]))
    plain.to_parquet(path, index=False)


def _write_json(frame: pd.DataFrame, path: Path) -> None:
    columns = list(frame.columns)
    rows = [
        {name: _json_value(value) for name, value in zip(columns, row, strict=True)}
        for row in frame.itertuples(index=False, name=None)
    ]
    path.write_text("[" + ",\n ".join(strict_json(row) for row in rows) + "]\n", encoding="utf-8")


def _cell(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        value = strict_json(value)
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _one_type(values: list[Any]) -> pd.Series[Any]:
    """Parquet columns have one type: mixed or nested values become JSON text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str} or kinds <= {bool}:
        return pd.Series(values, dtype="object")
    return pd.Series([None if value is None else strict_json(value) for value in values], dtype="object")


def _json_value(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return value
    return None if pd.isna(value) else value


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".json": _write_json,
}
_SUFFIXES = ", ".join(_WRITERS)
