"""The command: bad input ends at once, good input goes the whole road, machines get JSON."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from sweeps.commands.common import Addresses, duration
from sweeps.commands.dashboard import dashboard_command
from sweeps.commands.doctor import examine
from sweeps.commands.progress import ProgressDisplay, describe
from sweeps.store import NewSweep, open_writer

SPEC = """\
name: tiny
images: [sample:coffee]
image_size: 32
validate_on: [sample:rocket]
match: conv1/relu
method: {sampler: random, trials: 3}
budget: {iterations: 6}
save: {images: all}
baselines: [none]
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e1}
"""
BAD = SPEC.replace("conv1/relu", "conv1/rleu").replace("random", "randm").replace("min: 1e-3", "min: 20")


def restoration(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; standard error ends with the heavy modules it loaded."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('loaded:', *({'ray', 'optuna', 'mlflow', 'torch'} & set(sys.modules)), "
        "file=sys.stderr))\n"
        "from restoration_core.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(sweep, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("verb", [["validate"], ["plan"], ["run", "--runner", "ray"]])
def test_bad_spec_is_one_line_a_fault_exit_2_nothing_written_ray_not_imported(tmp_path: Path, verb: list[str]) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    done = restoration(tmp_path, "sweep", *verb, "bad.yaml")
    *faults, loaded = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert [line.split(" ")[1] for line in faults] == ["bad.yaml:5:", "bad.yaml:6:", "bad.yaml:11:"]
    assert all(line.startswith("error: ") for line in faults)
    assert "ray" not in loaded
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    done = restoration(tmp_path, "sweep", "--help")
    assert done.returncode == 0
    assert "validate" in done.stdout
    assert done.stderr.strip() == "loaded:"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validate", "missing.yaml"], "cannot read missing.yaml"),
        (["status", "--store", "sqlite:///none.db"], "no store at"),
        (["best", "x", "--store", "nonsense"], "is not a database address"),
        (["sync", "--mlflow", "off"], "needs MLflow, but --mlflow is off"),
    ],
)
def test_what_cannot_be_had_is_an_input_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        CliRunner().invoke(sweep, arguments, catch_exceptions=False)
    assert "\n" not in str(caught.value)


def test_a_name_given_on_the_command_line_obeys_the_same_rule(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    with pytest.raises(InputError, match="name must be 1 to 100 letters"):
        CliRunner().invoke(sweep, ["run", str(tmp_path / "tiny.yaml"), "--name", "a b"], catch_exceptions=False)


def test_unknown_runner_is_refused_with_the_valid_ones() -> None:
    result = CliRunner().invoke(sweep, ["run", "x.yaml", "--runner", "slurm"])
    assert result.exit_code == 2
    assert "'ray', 'inprocess'" in result.output


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(SPEC)
    url = f"sqlite:///{folder / 'r.db'}"
    output = invoke("run", str(folder / "tiny.yaml"), "--runner", "inprocess", "--store", url, "--mlflow", "off")
    assert "Best trials of tiny" in output
    assert "tiny: complete after" in output
    assert "Verdict on pictures that were not searched on" in output
    return url


@pytest.mark.slow
def test_status_best_and_export_agree_on_what_a_run_found(store: str, tmp_path: Path) -> None:
    (row,) = json.loads(invoke("--store", store, "status", "--json"))
    assert (row["name"], row["status"], row["complete"]) == ("tiny", "complete", 4)
    one = json.loads(invoke("--store", store, "status", "tiny", "--json"))
    assert one["trials_planned"] == one["complete"] == 4
    best = json.loads(invoke("best", "tiny", "--store", store, "--k", "2", "--json"))
    assert len(best) == 2
    assert best[0]["objective"] <= best[1]["objective"]
    assert best[0]["number"] == one["best"]["number"] == row["best_number"]
    path = tmp_path / "trials.csv"
    assert "4 trials of tiny written" in invoke("export", "tiny", "--to", str(path), "--store", store)
    table = pd.read_csv(path)
    assert table["number"].tolist() == [0, 1, 2, 3]
    assert table.loc[0, "baseline"] == "none"
    assert table["objective"].min() == pytest.approx(best[0]["objective"])


def test_a_sweep_whose_runner_was_killed_is_told_from_one_that_runs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.db'}"
    with open_writer(url) as writer:
        new = NewSweep("tiny", SPEC, {}, ["image_mse"], ["minimize"], 0, 3, "me", {}, [])
        lease = writer.acquire_lease(writer.create_sweep(new), "a runner", 100.0)
        assert "restoration sweep resume" not in invoke("status", "tiny", "--store", url)
        writer.renew_lease(writer.find_sweep("tiny"), lease, -1.0)
    assert "nobody is running it; to go on: restoration sweep resume tiny" in invoke("status", "tiny", "--store", url)


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
def test_replay_of_a_finished_trial_is_identical(store: str) -> None:
    report = json.loads(invoke("replay", "tiny", "2", "--store", store, "--json"))
    assert report["identical"] is True
    assert report["pictures"] == 1


@pytest.mark.slow
def test_a_second_sweep_of_the_same_name_is_refused(store: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    arguments = ["run", str(tmp_path / "tiny.yaml"), "--runner", "inprocess", "--store", store, "--mlflow", "off"]
    with pytest.raises(InputError, match="tiny"):
        CliRunner().invoke(sweep, arguments, catch_exceptions=False)


@pytest.mark.slow
def test_delete_asks_and_takes_the_sweep_away(store: str, tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").write_text(SPEC)
    run = ["run", str(tmp_path / "gone.yaml"), "--name", "gone", "--no-verdict", "--runner", "inprocess"]
    invoke(*run, "--store", store, "--mlflow", "off")
    with pytest.raises(InputError, match="valid: --yes"):
        CliRunner().invoke(sweep, ["delete", "gone", "--store", store], catch_exceptions=False)
    assert "deleted gone" in invoke("delete", "gone", "--yes", "--store", store)
    with pytest.raises(InputError, match="gone"):
        CliRunner().invoke(sweep, ["status", "gone", "--store", store], catch_exceptions=False)


def test_an_interrupted_run_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sweeps.lifecycle.launch

    def start(*_: object, progress: Any, **__: object) -> None:
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


def test_progress_elsewhere_than_on_a_terminal_is_plain_lines_with_the_last_word() -> None:
    stream = io.StringIO()
    states: list[Mapping[str, Any]] = [
        {"planned": 3, "complete": number, "running": 3 - number, "best": {"psnr": 20.123456}, "best_number": 1}
        for number in range(4)
    ]
    with ProgressDisplay("x", stream, line_every_s=1000) as display:
        assert not display.begun
        for state in [*states, states[-1]]:
            display(state)
        assert display.begun
    first, last = stream.getvalue().splitlines()
    assert first == "x: 0/3 trials, 3 running, best psnr 20.12 (trial 1)"
    assert last.startswith("x: 3/3 trials, 0 running")


def test_failures_are_part_of_the_progress() -> None:
    assert describe({"planned": 4, "complete": 1, "failed": 2, "running": 1}) == "3/4 trials, 1 running, 2 failed"


def test_addresses_come_from_option_then_environment_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RESTORATION_STORE", "sqlite:///environment.db")
    monkeypatch.delenv("RESTORATION_MLFLOW", raising=False)
    for arguments, name in ((["status"], "environment.db"), (["status", "--store", "sqlite:///o.db"], "o.db")):
        with pytest.raises(InputError, match=name):
            CliRunner().invoke(sweep, arguments, catch_exceptions=False)
    assert Addresses("sqlite:///environment.db", "sqlite:///mlflow.db").options() == ""
    assert Addresses("sqlite:///o.db", None).options() == " --store sqlite:///o.db --mlflow off"


def test_dashboard_listens_on_this_machine_and_sends_no_statistics() -> None:
    command = dashboard_command("sqlite:///r.db", "127.0.0.1", 8600)
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--browser.gatherUsageStats") + 1] == "false"
    assert command[-3:] == ["--", "--store", "sqlite:///r.db"]
    assert Path(command[4]).name == "app.py"


@pytest.mark.slow
def test_doctor_finds_problems_with_a_remedy_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.db").write_text("this is no database" * 100)
    bad = {f.what: f for f in examine(Addresses("sqlite:///broken.db", "http://127.0.0.1:9"))}
    good = {f.what: f for f in examine(Addresses("sqlite:///new.db", None))}
    assert not bad["store"].ok
    assert not bad["MLflow"].ok
    assert good["store"].ok
    assert good["MLflow"].ok
    assert good["bundled network"].ok
    assert [path.name for path in tmp_path.iterdir()] == ["broken.db"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45, "45 s"), (600, "10 min"), (9000, "2.5 h"), (float("nan"), "unknown")],
)
def test_durations_are_said_as_a_person_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text
