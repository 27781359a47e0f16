"""Calibrations on disk: measured once, whole at any time, beside the priors."""

from __future__ import annotations

from pathlib import Path

import pytest

from restoration_core.calibration.calibration import Calibration
from restoration_core.calibration.calibration_library import CalibrationLibrary
from restoration_core.errors import InputError
from restoration_core.priors.library.prior_library import ROOT_VARIABLE, PriorLibrary
from tests.core.calibration.test_calibration import calibration


def test_a_calibration_is_measured_once_and_then_read(tmp_path: Path) -> None:
    library, measured = CalibrationLibrary(tmp_path / "library"), []

    def measure() -> Calibration:
        measured.append(1)
        return calibration()

    recipe = calibration().recipe
    assert library.find(recipe) is None
    assert not (tmp_path / "library").exists()  # looking makes no folder
    assert library.get(recipe, measure) == calibration()
    assert CalibrationLibrary(tmp_path / "library").get(recipe, measure) == calibration()
    assert len(measured) == 1
    assert [path.name for path in (tmp_path / "library").iterdir()] == [f"{recipe.key}.calibration.json"]


def test_it_lies_in_the_folder_of_the_priors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    path = CalibrationLibrary().keep(calibration())
    assert path.parent == PriorLibrary().root == tmp_path
    bundled = PriorLibrary(tmp_path / "other").list()
    assert [entry.key for entry in PriorLibrary().list()] == [entry.key for entry in bundled]  # it is no prior


def test_a_damaged_file_is_told_where_it_lies_and_passed_over_in_the_list(tmp_path: Path) -> None:
    library = CalibrationLibrary(tmp_path)
    path = library.keep(calibration())
    (tmp_path / "0.calibration.json").write_text(path.read_text()[:100])
    assert library.list() == (calibration(),)
    path.write_text("{}")
    with pytest.raises(InputError, match=f"{path.name}: no calibration"):
        library.find(calibration().recipe)


def test_what_cannot_be_written_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        CalibrationLibrary(tmp_path).keep(calibration())
    assert not list(tmp_path.iterdir())


def test_a_library_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("a file")
    with pytest.raises(InputError, match=r"prior library .*library: cannot be made \(File exists\); valid: a folder"):
        CalibrationLibrary(tmp_path / "library").keep(calibration())
