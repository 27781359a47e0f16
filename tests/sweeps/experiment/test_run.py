"""A whole experiment in small: searched, evaluated, reported; killed and gone on with."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from restoration_core.errors import InputError
from restoration_core.images import load_image
from sweeps.commands.experiment import experiment
from sweeps.experiment.cells import Cell, cells
from sweeps.experiment.folder import Folder, append_lines, read_lines
from sweeps.experiment.models import ExperimentSpec
from sweeps.experiment.report import report
from sweeps.experiment.run import run, run_cell
from sweeps.experiment.search import winner
from sweeps.store.reader import open_reader
from tests.sweeps.experiment.experiments import STARTS, TESTED, TRIALS, make_experiment

ARMS = [Cell("middle", "variation"), Cell("middle", "experts")]


def silent(line: str) -> None:
    """Show nothing."""


def begun(root: Path, spec: ExperimentSpec) -> Folder:
    folder = Folder(root)
    folder.begin(spec)
    return folder


def scores(folder: Folder, cell: Cell) -> list[dict[str, Any]]:
    """Return a cell's evaluation without the times."""
    return [
        {name: value for name, value in row.items() if name != "compute_s"}
        for row in read_lines(folder.evaluation(cell))
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    spec = make_experiment()
    folder = begun(tmp_path_factory.mktemp("experiment"), spec)
    assert [item.failure for item in run(spec, folder, 1, silent)] == [None, None]
    return folder


def test_every_cell_has_its_trials_in_the_store_and_a_row_for_every_start(finished: Folder) -> None:
    spec = finished.spec()
    reader = open_reader(finished.store_url)
    for cell in cells(spec):
        rows = reader.trial_rows(cell.sweep_name(spec.name), ["complete"])
        best = winner(spec, cell, finished.store_url)
        assert best is not None
        assert len(rows) == best.trials == TRIALS
        assert best.value == max(row["objectives"][0] for row in rows)
        chosen, *found = scores(finished, cell)
        assert chosen == {"trial": best.number, "parameters": dict(best.parameters)}
        assert {(row["picture"], row["start"]) for row in found} == {
            (name, start) for name in TESTED for start in (*map(str, range(STARTS)), "truth", "mean")
        }
    reader.close()


def test_runs_from_the_truth_end_nearer_to_it_and_starts_differ(finished: Folder) -> None:
    for cell in ARMS:
        rows = {(row["picture"], row["start"]): row for row in scores(finished, cell)[1:]}
        for name in TESTED:
            first, second, truth, mean = (rows[name, start] for start in ("0", "1", "truth", "mean"))
            assert first["psnr"] != second["psnr"]
            assert truth["psnr"] > max(first["psnr"], second["psnr"])
            # The mean picture is nearer than its parts are on average: the squared error is convex.
            assert mean["image_mse"] < (first["image_mse"] + second["image_mse"]) / 2


def test_scores_are_those_of_the_pictures_kept(finished: Folder) -> None:
    from PIL import Image

    for cell in ARMS:
        (row,) = (row for row in scores(finished, cell)[1:] if (row["picture"], row["start"]) == (TESTED[0], "0"))
        with Image.open(finished.picture(cell, 0, "0")) as picture:
            shown = torch.tensor(list(picture.tobytes()), dtype=torch.float64).reshape(16, 16, 3) / 255
        original = torch.from_numpy(load_image(TESTED[0], 16)).permute(1, 2, 0)
        assert float((shown - original).square().mean()) == pytest.approx(row["image_mse"], rel=0.02)


def test_what_is_done_is_not_done_again(finished: Folder) -> None:
    before = {cell: finished.evaluation(cell).read_bytes() for cell in ARMS}
    assert run(finished.spec(), finished, 1, silent) == []
    assert {cell: finished.evaluation(cell).read_bytes() for cell in ARMS} == before


def test_the_report_has_every_arm_the_verdict_and_the_photographs(finished: Folder) -> None:
    text, page, verdict = report(finished)
    written = text.read_text()
    assert all(f"- {line}" in written for line in verdict)
    assert re.search(r"goal (met|missed)", verdict[0])
    assert re.search(r"^\| variation \| .* \|$", written, re.MULTILINE)
    assert re.search(r"^\| experts \| .*\[.*\].* \|$", written, re.MULTILINE)
    assert "0 are in both" in written
    assert f"search: {TRIALS} trials x 1 photographs x 10 iterations a cell" in written
    for name in re.findall(r"\]\((figures/[^)]+)\)", written):
        assert (finished.root / name).stat().st_size > 200
    whole = page.read_text()
    assert whole.count("data:image/") == written.count("](figures/")
    assert 'src="figures' not in whole


def test_a_cell_whose_winner_changed_is_evaluated_anew(tmp_path: Path, finished: Folder) -> None:
    import shutil

    folder = Folder(tmp_path / "copy")
    shutil.copytree(finished.root, folder.root)
    path, wanted = folder.evaluation(ARMS[0]), scores(folder, ARMS[0])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(json.dumps({"trial": 99, "parameters": {}}) + "\n" + "".join(lines[1:5]))
    assert run_cell(folder.spec(), ARMS[0], folder.root).failure is None
    assert scores(folder, ARMS[0]) == wanted


def test_a_folder_takes_one_experiment_only(finished: Folder) -> None:
    assert finished.begin(make_experiment())
    with pytest.raises(InputError, match="holds another experiment"):
        finished.begin(make_experiment(trials=4))


def test_a_cell_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    priors = {"gone": {"priors.image": {"prior": "0000000000000000", "weight": 1.0}}}
    spec = make_experiment(priors=make_experiment().model_dump()["priors"] | priors, arms={"a": ["gone"], "b": []})
    told: list[str] = []
    reports = run(spec, begun(tmp_path, spec), 1, told.append)
    assert reports[0].failure is not None
    assert "unknown prior" in reports[0].failure
    assert reports[1].failure is None
    assert told[0].startswith("[1/2] middle a: failed")


def test_a_line_cut_off_by_a_kill_is_left_out_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_lines(path, [{"a": 1}])
    with path.open("a") as file:
        file.write('{"a": 2, "b"')
    assert read_lines(path) == [{"a": 1}]
    append_lines(path, [{"a": 3}])
    assert read_lines(path) == [{"a": 1}, {"a": 3}]


@pytest.mark.slow
def test_a_killed_experiment_goes_on_and_ends_as_if_it_had_not_been_killed(tmp_path: Path, finished: Folder) -> None:
    spec = make_experiment()
    folder = begun(tmp_path, spec)
    code = (
        "from pathlib import Path; from sweeps.experiment.folder import Folder; from sweeps.experiment.run import run;"
        f"folder = Folder(Path({str(tmp_path)!r})); run(folder.spec(), folder, 1, print)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    try:
        while len(read_lines(folder.evaluation(ARMS[0]))) < 2:
            assert process.poll() is None, "the experiment ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(scores(folder, ARMS[1])) == 0
    done = CliRunner().invoke(experiment, ["report", str(tmp_path)])
    assert "NOT DECIDED YET" in done.output
    reports = run(spec, folder, 2, silent)
    assert {item.failure for item in reports} == {None}
    for cell in ARMS:
        assert scores(folder, cell) == scores(finished, cell)


@pytest.mark.slow
def test_the_command_plans_runs_and_reports_the_spec_that_ships(tmp_path: Path) -> None:
    spec = Path(__file__).parents[3] / "sweeps" / "specs" / "experiments" / "tiny.yaml"
    planned = CliRunner().invoke(experiment, ["plan", str(spec), "--json"])
    found = json.loads(planned.output[planned.output.index("{") :])
    assert found["cells"] == 2
    assert found["row_iterations"] == 2 * (3 * 1 + 3 * 3) * 20
    assert 0 < found["machine_hours"] < 1
    assert set(found["step_ms"]["middle"]) == {"variation", "experts"}
    done = CliRunner().invoke(experiment, ["run", str(spec), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "Goal (+0.01 SSIM" in done.output
    assert (tmp_path / "out" / "report.html").is_file()
