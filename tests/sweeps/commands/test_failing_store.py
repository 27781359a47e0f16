"""What a user reads when the store fails under a command: one line, and the command that goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.store import open_reader
from tests.sweeps.commands.called import restoration
from tests.sweeps.store.filled_disk import pages_at_most

SPEC = """\
name: full
images: [sample:coffee]
image_size: 32
match: conv1/relu
method: {sampler: random, trials: 24}
budget: {iterations: 4}
save: {images: all, curves_every: 1}
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e1}
"""


def test_on_a_full_disk_run_and_resume_say_how_to_go_on_and_with_room_all_trials_are_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.yaml").write_text(SPEC)
    inside = ("--runner", "inprocess", "--no-verdict", "--mlflow", "off")
    full = "store sqlite:///restoration.db is full (database or disk is full): make room on the disk of"
    with pages_at_most(80):
        run = restoration(capfd, "sweep", "run", "full.yaml", *inside)
        resume = restoration(capfd, "sweep", "resume", "full", *inside)
    for called in (run, resume):
        assert called.status == 1
        assert called.error.startswith(full)
        assert called.error.endswith("; to go on: restoration sweep resume full --mlflow off")
    status = restoration(capfd, "sweep", "status", "full", "--mlflow", "off")
    assert "to go on: restoration sweep resume full --mlflow off" in status.out
    reader = open_reader("sqlite:///restoration.db")
    before = reader.trials("full", ["complete"])["number"].tolist()
    assert 0 < len(before) < 24
    assert restoration(capfd, "sweep", "resume", "full", *inside).status == 0
    after = reader.trials("full")
    assert after["state"].tolist() == ["complete"] * 24
    assert after["attempt"][before].tolist() == [1] * len(before)  # none of them was computed again
    reader.close()
