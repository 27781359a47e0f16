from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from restoration_core.commands.networks import network, networks
from restoration_core.errors import InputError
from restoration_core.networks import network_names, open_network
from tests.core.networks.bundled.test_training import write_cifar


def run(*arguments: str) -> str:
    result = CliRunner().invoke(networks, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_network_has_one_line_and_one_json_entry() -> None:
    lines = run().splitlines()
    assert [line.split()[0] for line in lines[1:]] == network_names()
    assert [entry["name"] for entry in json.loads(run("--json"))] == network_names()


def test_layers_are_listed_with_shapes_at_the_size_asked_for() -> None:
    rows = {row["layer"]: row for row in json.loads(run("cifar_alexnet", "--size", "64", "--json"))["layers"]}
    assert list(rows) == list(open_network().layers)
    assert rows["conv3/lin"]["shape"] == [128, 16, 16]
    assert (rows["pool5"]["stride"], rows["pool5"]["receptive_field"]) == (8, 47)
    assert (rows["fc6/lin"]["shape"], rows["fc6/lin"]["valid_sizes"]) == (None, "25 to 32")
    table = run("cifar_alexnet", "--size", "64")
    assert "128 x 16 x 16" in table
    assert "takes 25 to 32 px" in table


def test_bad_arguments_are_input_errors() -> None:
    with pytest.raises(InputError, match="did you mean 'alexnet'"):
        run("alexnt")
    with pytest.raises(InputError, match="--size needs the name of a network"):
        run("--size", "3")


def train(*arguments: str | Path) -> str:
    result = CliRunner().invoke(network, ["train", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_training_writes_weights_that_open(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    out = tmp_path / "mine.safetensors"
    text = train("--data", tmp_path, "--out", out, "--epochs", "1", "--batch-size", "32")
    assert "epoch 1/1" in text
    assert "test accuracy" in text
    assert open_network("cifar_alexnet", str(out)).weights_id != open_network().weights_id
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cifar10-test.parquet",
        "cifar10-train.parquet",
        "mine.safetensors",
    ]


def test_an_output_that_cannot_be_written_is_refused_before_training(tmp_path: Path) -> None:
    taken = tmp_path / "taken.safetensors"
    taken.touch()
    for out, message in [
        (taken, "exists already; valid: another name, or --overwrite"),
        (tmp_path / "w.pt", "a name ending in .safetensors"),
        (tmp_path / "no" / "w.safetensors", "no folder"),
    ]:
        with pytest.raises(InputError, match=message.replace(".", r"\.")):
            train("--data", tmp_path / "nothing", "--out", out)


def test_an_interrupted_training_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("restoration_core.networks.bundled.training.fold_batch_norm", interrupt)
    out = tmp_path / "mine.safetensors"
    result = CliRunner().invoke(network, ["train", "--data", str(tmp_path), "--out", str(out), "--epochs", "1"])
    assert result.exit_code != 0
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".parquet", ".parquet"]
