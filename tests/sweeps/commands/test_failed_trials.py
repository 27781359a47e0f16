"""The exit status tells of failed trials, but for those whose numbers were not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from restoration_core.reconstruction import BatchSolver
from sweeps.cli import sweep
from tests.sweeps.commands.tiny import SPEC
from tests.sweeps.lifecycle.test_failing_machine import has_trial, raising


def run(folder: Path, spec: str = SPEC, *more: str) -> Result:
    (folder / "tiny.yaml").write_text(spec)
    return CliRunner().invoke(sweep, ["run", str(folder / "tiny.yaml"), *options(folder), *more])


def options(folder: Path) -> list[str]:
    url = f"sqlite:///{folder / 'r.db'}"
    return ["--runner", "inprocess", "--store", url, "--mlflow", "off", "--no-verdict"]


def test_a_failed_trial_makes_the_exit_status_1_and_says_how_to_run_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(BatchSolver, "advance", raising(RuntimeError("kernel died"), has_trial(1)))
        result = run(tmp_path)
    assert result.exit_code == 1
    assert "tiny: complete after" in result.output
    line = next(line for line in result.output.splitlines() if "trials failed:" in line)
    assert line.startswith(
        "1 of 4 trials failed: RuntimeError: kernel died; to run them again: restoration sweep resume tiny "
        "--retry-failed --store sqlite:///"
    )
    again = CliRunner().invoke(sweep, ["resume", "tiny", "--retry-failed", *options(tmp_path)])
    assert (again.exit_code, "trials failed:" in again.output) == (0, False)


def test_numbers_that_are_not_finite_are_told_but_are_a_result_that_a_search_may_have(tmp_path: Path) -> None:
    wild = "parameters:\n  optimizer: momentum\n  learning_rate: {values: [0.05, 1.0e+9]}\n"
    result = run(tmp_path, SPEC.replace("parameters:\n", wild).replace("trials: 3", "trials: 8"))
    assert result.exit_code == 0
    assert "trials failed: " in result.output
    assert "NaN or infinite" in result.output
    assert "--retry-failed" not in result.output


def test_the_most_frequent_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(self: BatchSolver[Any], max_iterations: int | None = None) -> Any:
        raise RuntimeError("kernel died" if any(key[0] == 0 for key in self.keys) else "kernel hung")

    monkeypatch.setattr(BatchSolver, "advance", advance)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "4 of 4 trials failed: most of them (3): RuntimeError: kernel hung; to run them again" in result.output
