"""A sweep for GPUs where there are none is refused before anything is written; else the CPU computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.execution import devices
from sweeps.execution.devices import check_gpus, device_here
from sweeps.lifecycle.launch import start
from tests.sweeps.sweeps_in_store import make_spec, store


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus_here", lambda: 0)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize("runner", ["ray", "inprocess"])
def test_a_sweep_for_gpus_without_one_writes_nothing(runner: str, tmp_path: Path, no_gpu: None) -> None:
    spec = make_spec(resources={"gpus_per_actor": 0.5})
    with pytest.raises(InputError, match=r"gpus_per_actor is 0.5, but there are 0 GPUs; valid: 0"):
        start(spec, runner=runner, store_url=store(tmp_path), mlflow_uri=None)
    assert not list(tmp_path.iterdir())


def test_a_cluster_is_asked_for_its_own_gpus(monkeypatch: pytest.MonkeyPatch, no_gpu: None) -> None:
    spec = make_spec(resources={"gpus_per_actor": 2.0})
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    check_gpus(spec)
    check_gpus(spec, available=2.0)
    with pytest.raises(InputError, match="there are 1 GPUs"):
        check_gpus(spec, available=1.0)


def test_the_device_is_a_gpu_only_when_asked_for_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus_here", lambda: 1)
    assert device_here(make_spec(resources={"gpus_per_actor": 0.25})) == "cuda"
    assert device_here(make_spec()) == "cpu"
    monkeypatch.setattr(devices, "gpus_here", lambda: 0)
    assert device_here(make_spec(resources={"gpus_per_actor": 0.25})) == "cpu"
