"""Folders whose names mean something in an address: all lies where it was told to, and nothing elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.store import file_url, open_reader
from sweeps.tracking import best_from_mlflow, check, parse_mlflow_uri, start_tracker, sync
from tests.sweeps.tracking import asked
from tests.sweeps.tracking.stored_sweep import new_sweep

pytestmark = pytest.mark.slow

NAMES = [
    "feature%2Fpriors",
    "100%",
    "%s%(here)s",
    "what?",
    "a#b",
    "a b;c&d=e+f",
    "ünï 写真",
    "quo\"te's",
    "%25",
    "~x:y@z",
]


def everything(folder: Path) -> list[str]:
    """Return what lies in a folder, sub-folders that are not ours included."""
    found = sorted(path.name for path in folder.iterdir())
    return [name for name in found if not name.endswith(("-wal", "-shm", "-journal"))]


@pytest.mark.parametrize("name", NAMES)
def test_the_default_addresses_work_in_a_folder_of_any_name(
    name: str, tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    made = new_sweep(folder)
    made.complete(0, 0.2)
    made.complete(1, 0.1)
    uri = "sqlite:///mlflow.db"
    report = sync("sqlite:///store.db", uri)
    assert (report.delivered, report.error) == (3, None)
    assert list(best_from_mlflow(uri, "conv2")["number"]) == [1, 0]
    # The address as it is shown names the same file.
    shown = parse_mlflow_uri(uri).uri
    assert sync(made.url, shown).already == 3
    # MLflow itself makes the folders that a quoted path spells, unless the driver is named.
    theirs = parse_mlflow_uri(uri).client_uri
    run = asked.trials(theirs)[1]
    assert len(asked.client(theirs).list_artifacts(run.info.run_id, "pictures")) == 2
    assert list(open_reader(made.url).best("conv2")["number"]) == [1, 0]
    assert everything(folder) == ["mlflow-artifacts", "mlflow.db", "store.db"]
    assert everything(tmp_path) == [name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["feature%2Fx", 'what?\'s "new"'])
def test_the_tracker_makes_mlflows_database_in_a_folder_of_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = new_sweep(folder)
    made.complete(0, 0.2)
    report = start_tracker(made.url, "sqlite:///mlflow.db").stop(60.0)
    assert (report.pending, report.error) == (0, None)
    assert everything(folder) == ["mlflow-artifacts", "mlflow.db", "store.db"]
    assert everything(tmp_path) == [name]


def test_a_quoted_path_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a%2Fb").mkdir()
    assert parse_mlflow_uri(f"sqlite:///{tmp_path}/a%252Fb/m.db").database == tmp_path / "a%2Fb" / "m.db"
    assert parse_mlflow_uri(file_url(tmp_path / "a%2Fb" / "m.db")).database == tmp_path / "a%2Fb" / "m.db"
    with pytest.raises(InputError, match=r"lies in a folder that does not exist \(.*/a/b\)"):
        parse_mlflow_uri(f"sqlite:///{tmp_path}/a%2Fb/m.db")


def test_the_stores_own_file_is_refused_however_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="own store"):
        parse_mlflow_uri(f"sqlite:///{tmp_path}/a%20b.db", store_url=f"sqlite:///{tmp_path}/a b.db")


@pytest.mark.parametrize("address", ["sqlite:///what?/m.db", "sqlite:///m.db?mode=ro", "sqlite:///file:m.db?uri=true"])
def test_a_question_mark_in_an_address_is_refused_with_how_to_write_it(address: str) -> None:
    with pytest.raises(InputError, match=r"names no file .*\? in a name is written %3F"):
        parse_mlflow_uri(address)
    with pytest.raises(InputError, match=r"names no file .*% is written %25 and \? %3F"):
        open_reader(address)


def test_a_path_that_is_no_text_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="is not UTF-8, so that no address can name it"):
        parse_mlflow_uri("sqlite:///mlflow.db")
    assert not check("sqlite:///mlflow.db").reachable
