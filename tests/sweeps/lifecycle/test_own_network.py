"""A sweep over a network of one's own, by perceptual metrics: searched, saved, and checked before it starts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from restoration_core.errors import InputErrors
from sweeps.lifecycle.launch import start
from sweeps.spec.load import load_spec
from sweeps.store.reader import open_reader
from tests.sweeps.sweeps_in_store import store

CODE = """
from torch import nn

def small():
    stem = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU())
    return nn.Sequential(stem, nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU())
"""
SPEC = """
name: test
network:
  module: nets_of_a_sweep:small
  layers: {conv1/relu: '0.1', conv2/lin: '1', conv2/relu: '2'}
  mean: [0.5, 0.5, 0.5]
  size: 32
images: [sample:coffee]
image_size: 24
match: {layer: conv2/relu}
metric: gram_distance@0.1+conv2/lin
method: {sampler: random, trials: 2}
budget: {iterations: 5}
save: {metrics: [perceptual_distance, feature_error@conv1/relu+conv2/lin, psnr]}
parameters:
  learning_rate: {distribution: log_uniform, min: 1e-2, max: 1e-1}
"""
NAMES = ("gram_distance@conv1/relu+conv2/lin", "perceptual_distance", "feature_error@conv1/relu+conv2/lin", "psnr")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "nets_of_a_sweep.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    sys.modules.pop("nets_of_a_sweep", None)


def spec_file(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in SPEC
    path = folder / "spec.yaml"
    path.write_text(SPEC.replace(old, new) if old else SPEC)
    return path


def test_a_sweep_runs_on_ones_own_network_and_records_what_it_names(folder: Path) -> None:
    spec = load_spec(spec_file(folder))
    assert type(spec).model_validate(spec.model_dump()) == spec.model_copy(update={"yaml_text": ""})
    assert spec.metric_names == [NAMES[0]]
    assert spec.save.metrics == list(NAMES[1:])
    outcome = start(spec, runner="inprocess", store_url=store(folder), mlflow_uri=None, verdict=False)
    assert outcome.progress["complete"] == 2
    reader = open_reader(store(folder))
    rows = reader.trial_rows("test")
    metrics = [reader.trial("test", row["number"]).metrics for row in rows]
    reader.close()
    for found in metrics:
        assert set(NAMES) <= set(found)
        assert all(0 < found[name] < 100 for name in NAMES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sweep:small", "sweep:smal", "did you mean 'small'"),
        ("nets_of_a_sweep:small", "nowhere.at.all:small", "cannot import 'nowhere.at.all'"),
        ("conv2/relu: '2'", "conv2/relu: '2.2'", "unknown module path '2.2'; valid: 0.0, 0.1, 0, 1, 2, 3, 4"),
        ("[0.5, 0.5, 0.5]", "[0.5, 0.5]", "mean must be three numbers"),
        ("module: nets_of_a_sweep:small", "module: resnet18", "network.module must be package.module:factory"),
        ("module: nets_of_a_sweep:small", "name: resnet18", "layers, mean, size: for a network of one's own only"),
        ("[perceptual_distance,", "[perceptual,", "unknown metric 'perceptual'; did you mean 'perceptual_distance'"),
        ("@0.1+conv2/lin", "@0.1+conv3/lin", "unknown layer of nets_of_a_sweep:small 'conv3/lin'"),
    ],
)
def test_a_fault_is_told_before_anything_starts(folder: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputErrors, match=message):
        load_spec(spec_file(folder, old, new))
