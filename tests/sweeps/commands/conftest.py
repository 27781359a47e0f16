"""A store with one finished sweep, shared by the tests of all commands."""

from __future__ import annotations

import pytest

from tests.sweeps.commands.tiny import SPEC, invoke


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(SPEC)
    url = f"sqlite:///{folder / 'r.db'}"
    output = invoke("run", str(folder / "tiny.yaml"), "--runner", "inprocess", "--store", url, "--mlflow", "off")
    assert "Best trials of tiny" in output
    assert "tiny: complete after" in output
    assert "Verdict on pictures that were not searched on" in output
    return url
