"""The folder of an experiment: its spec, its store, its evaluations line by line, and the report."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restoration_core.errors import InputError
from sweeps.experiment.cells import Cell
from sweeps.experiment.models import ExperimentSpec
from sweeps.experiment.photographs import Photograph, look_at
from sweeps.store import file_url

TRUTH, MEAN = "truth", "mean"
"""Rows beside those of the random starts ``0``, ``1``, ...: the start at the photograph, and the mean picture."""

_SPEC, _PLAN, _STORE = "experiment.json", "plan.json", "experiment.db"


@dataclass(frozen=True)
class Folder:
    """Where an experiment lives: ``experiment.json``, ``experiment.db``, ``evaluation/``, ``pictures/`` and the report.

    Args:
        root: of it.
    """

    root: Path

    @property
    def store_url(self) -> str:
        return file_url(self.root / _STORE)

    def begin(self, spec: ExperimentSpec) -> bool:
        """Begin an experiment in this folder; return whether it had been begun before.

        Raises:
            InputError: the folder holds another experiment.
            InputErrors: photographs that cannot be read, or are both searched and tested on.
        """
        photographs = look_at(spec)
        wanted = {"spec": spec.model_dump(mode="json"), "photographs": [vars(item) for item in photographs]}
        path = self.root / _SPEC
        if path.is_file():
            if _plain(_read(path)) != _plain(wanted):
                raise InputError(
                    f"{self.root}: holds another experiment; valid: a new folder, or the spec it was begun with"
                )
            return True
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "experiment.yaml").write_text(spec.text)
        _write(path, wanted)
        return False

    def spec(self) -> ExperimentSpec:
        """Return the experiment of this folder.

        Raises:
            InputError: there is none.
        """
        path = self.root / _SPEC
        if not path.is_file():
            raise InputError(f"{self.root}: no experiment here; valid: a folder that `experiment run --out` has made")
        return ExperimentSpec.model_validate(_read(path)["spec"])

    def photographs(self) -> tuple[Photograph, ...]:
        """Return the photographs of this folder's experiment."""
        return tuple(Photograph(**item) for item in _read(self.root / _SPEC)["photographs"])

    def plan(self) -> dict[str, Any] | None:
        """Return the plan that was measured for this folder; None before."""
        path = self.root / _PLAN
        return _read(path) if path.is_file() else None

    def keep_plan(self, plan: dict[str, Any]) -> None:
        _write(self.root / _PLAN, plan)

    def evaluation(self, cell: Cell) -> Path:
        """Return the file of a cell's evaluation."""
        return self.root / "evaluation" / f"{cell.file_name}.jsonl"

    def picture(self, cell: Cell, index: int, start: str) -> Path:
        """Return the file of a reconstruction that the report shows."""
        return self.root / "pictures" / f"{cell.file_name}.{index}.{start}.png"

    def original(self, index: int) -> Path:
        return self.root / "pictures" / f"original.{index}.png"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON lines, without a last one that a kill has cut off."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        found.append(json.loads(line))
    return found


def append_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows to a file of JSON lines in one write that reaches the disk; remove a cut-off last line first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    with path.open("a+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.truncate(_whole(path.read_bytes()) if size else 0)
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def keep_file(path: Path, content: bytes) -> None:
    """Write a file aside and move it into place, so that it is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()


def _whole(content: bytes) -> int:
    return content.rfind(b"\n") + 1


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _write(path: Path, value: Any) -> None:
    keep_file(path, json.dumps(value, indent=1).encode())


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def picture_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of pictures, without the line that says what was evaluated."""
    return [row for row in rows if "picture" in row]
