"""``restoration networks --presets``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from restoration_core.commands.networks import networks
from restoration_core.errors import InputError
from restoration_core.networks import outline_network
from restoration_core.objectives import PRESETS, mv2016


def run(*arguments: str) -> str:
    result = CliRunner().invoke(networks, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_every_preset_has_a_line_for_every_layer() -> None:
    lines = run("alexnet", "--presets").splitlines()
    assert [line.split()[0] for line in lines if " on alexnet" in line] == list(PRESETS)
    for layer in outline_network("alexnet").layers:
        assert sum(line.split()[:1] == [layer] for line in lines) == len(PRESETS)


def test_the_table_has_the_published_numbers_and_says_in_which_units() -> None:
    lines = run("alexnet", "--preset", "mv2016").splitlines()
    heading = "layer feature weight total variation isotropic range jitter step iterations bound"
    assert " ".join(lines[1].split()) == heading
    # C of conv4, 1 / (80 / 6.5)^2, 1 / 80^6, stride 16 / 4, 0.05 * 80^2 / 6, 300 + 50 steps, 2 * 80
    assert next(line for line in lines if line.startswith("conv4/relu")).split()[1:] == [
        *("100", "0.006602", "3.815e-12", "4", "53.33", "350", "160")
    ]
    assert "  total variation: on 0..255, mean over pixels" in lines
    assert "10000" in run("alexnet", "--preset", "thesis-fig10")


def test_json_has_our_units_beside_the_published_ones() -> None:
    document = json.loads(run("alexnet", "--preset", "mv2016", "--json"))
    rows = {row["layer"]: {c["name"]: c for c in row["constants"]} for row in document["presets"]["mv2016"]}
    preset = mv2016(outline_network("alexnet"), "conv5/relu")
    for term in preset.terms:
        assert rows["conv5/relu"][term.name]["ours"] == term.weight
    assert rows["conv5/relu"]["step"]["ours"] == preset.learning_rate.at(0)
    assert rows["conv5/relu"]["step"]["value"] == pytest.approx(0.05 * 6400 / 6)


def test_without_a_name_the_bundled_network_is_meant() -> None:
    assert run("--presets", "--preset", "none").startswith("none on cifar_alexnet")


def test_bad_arguments_are_input_errors() -> None:
    with pytest.raises(InputError, match="unknown preset 'mv2061'; did you mean 'mv2016'"):
        run("alexnet", "--preset", "mv2061")
    with pytest.raises(InputError, match="--size has no part in the constants of presets"):
        run("alexnet", "--presets", "--size", "64")


def test_on_a_terminal_a_constant_of_every_layer_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("alexnet", "--preset", "mv2016").splitlines()
    assert lines[1].split() == ["layer", "feature", "weight", "jitter"]
    assert "  iterations: 350 at every layer; steps" in lines
    assert max(map(len, lines)) <= 80
