"""What the commands share."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from sweeps.commands.common import Addresses


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
