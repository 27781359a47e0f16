"""``sweep delete``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from tests.sweeps.commands.tiny import SPEC, invoke


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
