"""``sweep delete`` and ``sweep sync``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from tests.sweeps.commands.called import restoration
from tests.sweeps.commands.tiny import SPEC, invoke
from tests.sweeps.tracking.stored_sweep import new_sweep


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


@pytest.mark.slow
def test_sync_says_where_each_sweep_was_written_when_that_is_not_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    made = new_sweep(tmp_path, mlflow_uri="off")
    made.complete(0, 0.1)
    done = restoration(capfd, "sweep", "sync", "--store", "sqlite:///store.db")
    assert (done.status, done.out) == (0, "MLflow: 2 runs written, 0 were there, 0 failed\n")
    assert done.err.startswith("conv2: was run with tracking off; written to sqlite:////")
    assert (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_a_sweep_run_with_tracking_off_is_resumed_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(SPEC)
    run = ("sweep", "run", "tiny.yaml", "--name", "quiet", "--no-verdict", "--runner", "inprocess", "--mlflow", "off")
    assert restoration(capfd, *run).status == 0
    done = restoration(capfd, "sweep", "resume", "quiet", "--runner", "inprocess", "--no-verdict")
    assert done.status == 0
    assert "MLflow: off" in done.out
    assert not Path("mlflow.db").exists()
