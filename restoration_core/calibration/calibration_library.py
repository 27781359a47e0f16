"""Calibrations kept in the folder of the prior library, under the key of their recipe."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from restoration_core.calibration.calibration import Calibration
from restoration_core.calibration.recipe import CalibrationRecipe
from restoration_core.errors import InputError
from restoration_core.priors.library import PriorLibrary

_SUFFIX = ".calibration.json"


class CalibrationLibrary:
    """Calibrations as JSON files beside the trained priors.

    Args:
        root: folder of the prior library; by default as :class:`PriorLibrary` chooses it. Made when something is kept.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = PriorLibrary(root).root

    def find(self, recipe: CalibrationRecipe) -> Calibration | None:
        """Return the calibration of a recipe; None when none is kept.

        Raises:
            InputError: its file is damaged.
        """
        path = self.path(recipe)
        return Calibration.from_json(path.read_text(), str(path)) if path.is_file() else None

    def get(self, recipe: CalibrationRecipe, measure: Callable[[], Calibration]) -> Calibration:
        """Return the calibration of a recipe; measure and keep it when there is none.

        Two processes may measure the same one at once: both get the same numbers, and the file is whole at any time.
        """
        found = self.find(recipe)
        if found is None:
            found = measure()
            self.keep(found)
        return found

    def keep(self, calibration: Calibration) -> Path:
        """Keep a calibration and return its file, which is written aside and moved into place.

        Raises:
            InputError: the folder cannot be made.
        """
        PriorLibrary(self.root).make_root()
        path = self.path(calibration.recipe)
        aside = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            aside.write_text(calibration.to_json())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return path

    def list(self) -> tuple[Calibration, ...]:
        """Return all calibrations, by key; other files are ignored."""
        found = []
        for path in sorted(self.root.glob(f"*{_SUFFIX}")):
            with contextlib.suppress(InputError):
                found.append(Calibration.from_json(path.read_text(), str(path)))
        return tuple(found)

    def path(self, recipe: CalibrationRecipe) -> Path:
        """Return the file of a recipe's calibration, whether it exists or not."""
        return self.root / f"{recipe.key}{_SUFFIX}"
