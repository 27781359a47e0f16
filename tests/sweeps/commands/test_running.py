"""``sweep run``, ``resume`` and ``replay``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from tests.sweeps.commands.tiny import SPEC, invoke


def test_a_name_given_on_the_command_line_obeys_the_same_rule(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    with pytest.raises(InputError, match="name must be 1 to 100 letters"):
        CliRunner().invoke(sweep, ["run", str(tmp_path / "tiny.yaml"), "--name", "a b"], catch_exceptions=False)


def test_unknown_runner_is_refused_with_the_valid_ones() -> None:
    result = CliRunner().invoke(sweep, ["run", "x.yaml", "--runner", "slurm"])
    assert result.exit_code == 2
    assert "'ray', 'inprocess'" in result.output


def test_again_leaves_no_store_behind_when_the_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    url = f"sqlite:///{tmp_path / 'r.db'}"
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--again", "--store", url, "--mlflow", "./mlruns"]
    with pytest.raises(InputError, match="mlruns"):
        CliRunner().invoke(sweep, arguments, catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.slow
def test_again_takes_the_next_free_name(store: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("trials: 3", "trials: 1"))
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--runner", "inprocess", "--store", store, "--mlflow", "off"]
    assert "tiny-2: complete after" in invoke(*arguments, "--again", "--no-verdict")
    assert "tiny-3: complete after" in invoke(*arguments, "--again", "--no-verdict")
    for name in ("tiny-2", "tiny-3"):  # the store is shared with the other tests
        invoke("delete", name, "--yes", "--store", store)


@pytest.mark.slow
def test_resuming_a_complete_sweep_says_that_nothing_is_left(store: str) -> None:
    before = invoke("status", "tiny", "--store", store, "--json")
    said = invoke("resume", "tiny", "--store", store, "--mlflow", "off")
    assert "tiny: complete already, no trial was left to run" in said
    assert invoke("status", "tiny", "--store", store, "--json") == before


@pytest.mark.slow
def test_a_search_ended_by_its_hours_says_so_and_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("iterations: ", "hours: 1e-9, iterations: "))
    url = f"sqlite:///{tmp_path / 'r.db'}"
    result = CliRunner().invoke(
        sweep, ["run", str(tmp_path / "tiny.yaml"), "--runner", "inprocess", "--store", url, "--mlflow", "off"]
    )
    assert "budget.hours ended the search after 0 of 4 trials" in result.output
    assert f"restoration sweep resume tiny --store {url} --mlflow off" in result.output


@pytest.mark.slow
def test_replay_of_a_finished_trial_is_identical(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads(invoke("replay", "tiny", "2", "--store", store, "--json"))
    assert report["identical"] is True
    assert report["pictures"] == 1
    monkeypatch.setenv("COLUMNS", "80")
    lines = invoke("replay", "tiny", "2", "--store", store).splitlines()
    assert lines[0] == "trial 2 of tiny: identical"
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_a_second_sweep_of_the_same_name_is_refused(store: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--runner", "inprocess", "--store", store, "--mlflow", "off"]
    with pytest.raises(InputError, match="tiny"):
        CliRunner().invoke(sweep, arguments, catch_exceptions=False)


def test_an_interrupted_run_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sweeps.lifecycle.launch

    def start(*_: object, progress: Any, created: Any, **__: object) -> None:
        created("tiny")
        progress({"planned": 4, "complete": 1})
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeps.lifecycle.launch, "start", start)
    monkeypatch.delenv("RESTORATION_STORE", raising=False)
    monkeypatch.delenv("RESTORATION_MLFLOW", raising=False)
    (tmp_path / "tiny.yaml").write_text(SPEC)
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--store", "sqlite:///my results.db"]
    result = CliRunner().invoke(sweep, arguments)
    assert "to go on: restoration sweep resume tiny --store 'sqlite:///my results.db'" in result.stderr
    assert result.exit_code != 0


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&1 | head -1", "<&- >&- 2>&-"])
def test_a_run_whose_output_cannot_be_written_is_complete_with_exit_0(tmp_path: Path, redirection: str) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    code = "import sys; from restoration_core.cli import main; main(sys.argv[1:])"
    shell = ["bash", "-c", f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}', "bash"]
    run = ["sweep", "run", "tiny.yaml", "--runner", "inprocess", "--mlflow", "off"]
    done = subprocess.run(
        [*shell, sys.executable, "-c", code, *run],
        cwd=tmp_path,
        capture_output=True,
        timeout=200,
    )
    assert done.returncode == 0
    (row,) = json.loads(invoke("status", "--json", "--store", f"sqlite:///{tmp_path / 'restoration.db'}"))
    assert (row["status"], row["complete"]) == ("complete", 4)
