"""``sweep init`` and ``sweep keys`` as a user calls them."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from restoration_core.cli import main
from sweeps.spec.load import load_spec, parse_spec


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *arguments])
    return int(ended.value.code or 0)


def test_init_writes_a_valid_spec_and_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init") == 0
    assert "sweep.yaml written; next: restoration sweep validate sweep.yaml" in capsys.readouterr().out
    assert load_spec("sweep.yaml").name == "sweep"
    (tmp_path / "sweep.yaml").write_text("mine")
    assert run("init") == 2
    assert capsys.readouterr().err == (
        "error: sweep.yaml: is there already; valid: the name of a new file, or - to print\n"
    )
    assert (tmp_path / "sweep.yaml").read_text() == "mine"


def test_init_prints_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init", "-", "--layer", "conv2/relu") == 0
    assert parse_spec(capsys.readouterr().out).layers == ("conv2/relu",)
    assert os.listdir() == []


@pytest.mark.parametrize("name", ["my sweep é.yaml", "caf\udce9.yaml", "-dash.yaml", "~mine.yaml", ".yaml"])
def test_init_takes_any_name_of_a_file(name: str) -> None:
    assert run("init", "--", name) == 0
    assert load_spec(name).images


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["b.yaml", "--layer", "conv3/rleu"], "error: --layer conv3/rleu: unknown layer of cifar_alexnet"),
        (["b.yaml", "--network", "vgg61"], "error: unknown network 'vgg61'; did you mean"),
        (["none/b.yaml"], "error: none/b.yaml: cannot be written (no such file or directory)"),
        (["."], "error: .: is there already"),
        (["n" * 300], "cannot be written (file name too long)"),
    ],
)
def test_what_init_cannot_write_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("init", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert os.listdir() == []


def test_a_spec_that_the_disk_has_no_room_for_leaves_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert run("init", "b.yaml") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "error: b.yaml: cannot be written (file too large)" in capsys.readouterr().err
    assert os.listdir() == []


def test_keys_are_told_in_80_columns_and_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("keys", "range.w", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == "isotropic_range.weight"
    assert run("keys", "jiter") == 2
    assert "unknown key 'jiter'; did you mean 'jitter'?" in capsys.readouterr().err
