"""``sweep validate`` and ``plan``: bad input ends at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.commands.tiny import SPEC, restoration

BAD = SPEC.replace("conv1/relu", "conv1/rleu").replace("random", "randm").replace("min: 1e-3", "min: 20")


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
