"""Files of weights as people save them, and the things that are often taken for weights."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.networks.weights.kinds import is_path
from restoration_core.networks.weights.reading import read_checkpoint, read_state_dict

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, 2.0])}
KEPT_NAMES = ("w.pt", "w.pth", "w.th", "w.ckpt", "w.bin", "w.pth.tar", "w.tar", "W.PTH")


def same(found: dict[str, Tensor]) -> bool:
    return set(found) == set(STATE) and all(torch.equal(found[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("name", KEPT_NAMES)
def test_every_usual_name_is_read_and_taken_for_a_path(tmp_path: Path, name: str) -> None:
    torch.save(STATE, tmp_path / name)
    assert same(read_state_dict(tmp_path / name))
    assert is_path(name)
    torch.save(STATE, tmp_path / name, _use_new_zipfile_serialization=False)
    assert same(read_state_dict(tmp_path / name))


def test_the_content_says_how_a_file_is_read_not_its_name(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "model.bin")
    assert same(read_state_dict(tmp_path / "model.bin"))
    with (tmp_path / "model.pth").open("wb") as file:
        np.savez(file, **{key: value.numpy() for key, value in STATE.items()})
    assert same(read_state_dict(tmp_path / "model.pth"))


@pytest.mark.parametrize(
    ("around", "note"),
    [
        (lambda state: {"state_dict": state}, ("read its entry 'state_dict'",)),
        (lambda state: {"epoch": 3, "model": state}, ("read its entry 'model' and not epoch",)),
        (lambda state: {"model_state_dict": state, "optimizer_state_dict": {"state": {}}}, None),
        (lambda state: {"net": state, "acc": 0.5}, ("read its entry 'net' and not acc",)),
        (lambda state: {"network": state}, None),
        (lambda state: {"weights": state, "ema": state}, ("read its entry 'weights' and not ema",)),
        (lambda state: {"ema": state, "step": 1}, ("read its entry 'ema' and not step",)),
        (lambda state: {"generator": state, "lr": 1e-3}, ("read its entry 'generator' and not lr",)),
        (
            lambda state: {"checkpoint": {"model": state, "epoch": 1}},
            ("read its entry 'checkpoint'", "read its entry 'model' and not epoch"),
        ),
        (lambda state: {"model": {"state_dict": state}}, ("read its entry 'model'", "read its entry 'state_dict'")),
    ],
)
def test_dictionaries_around_a_state_dict_are_taken_off_and_named(
    tmp_path: Path, around: Callable[[Any], Any], note: tuple[str, ...] | None
) -> None:
    torch.save(around(STATE), tmp_path / "w.pth")
    checkpoint = read_checkpoint(tmp_path / "w.pth")
    assert same(checkpoint.tensors)
    assert checkpoint.notes == note or note is None
    assert checkpoint.notes


def test_numbers_of_numpy_beside_the_state_dict_do_no_harm(tmp_path: Path) -> None:
    beside = {"best": np.float64(1), "epoch": np.int64(3), "seen": np.float32(2), "done": np.bool_(True)}
    torch.save({"state_dict": STATE, **beside}, tmp_path / "w.pth")
    assert same(read_state_dict(tmp_path / "w.pth"))
    with pytest.raises(Exception, match="numpy"):  # for that file only: torch itself still refuses them
        torch.load(tmp_path / "w.pth", weights_only=True)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)


def web_page(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html><title>Sign in</title></html>")


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("README.txt", "nothing")


def tar_archive(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo("model.pth"), io.BytesIO())


def cut(path: Path, save: Callable[[Path], object]) -> None:
    save(path)
    path.write_bytes(path.read_bytes()[:-100])


def scripted(path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.ReLU(), torch.zeros(1)), path)


HERE = __name__.replace(".", r"\.")
NO_WEIGHTS: list[tuple[str, Callable[[Path], object], str]] = [
    (
        "w.pth",
        lambda path: torch.save(Plain(), path),
        rf"it holds a whole module \({HERE}\.Plain\), and reading one runs",
    ),
    ("w.pth", lambda path: torch.save({"model": Plain()}, path), rf"it holds a whole module \({HERE}\.Plain\)"),
    (
        "w.pth",
        lambda path: torch.save({"state_dict": STATE, "args": argparse.Namespace(lr=1)}, path),
        r"it holds objects of argparse\.Namespace, and reading them may run code; valid: the state dict alone",
    ),
    ("w.pth", lambda path: torch.save({"state_dict": STATE, "where": Path("x")}, path), "it holds objects of pathlib"),
    ("w.pth", lambda path: cut(path, lambda p: torch.save(STATE, p)), "it is cut off, its end is missing"),
    (
        "w.pth",
        lambda path: cut(path, lambda p: torch.save(STATE, p, _use_new_zipfile_serialization=False)),
        "it is cut off or damaged",
    ),
    ("w.safetensors", lambda path: cut(path, lambda p: save_file({"w": torch.zeros(99)}, p)), "it is cut off"),
    ("w.npz", lambda path: cut(path, lambda p: np.savez(p, w=np.zeros(9))), "it is cut off"),
    (
        "w.safetensors",
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4900000\n"),
        "it is a Git LFS pointer, not the weights themselves; valid: `git lfs pull` first",
    ),
    ("w.pth", lambda path: path.write_bytes(b""), "it is empty; valid"),
    ("w.safetensors", lambda path: path.write_bytes(b""), "it is empty; valid"),
    ("w.npz", lambda path: path.write_bytes(b""), "it is empty; valid"),
    ("w.pt", web_page, "it is a web page, saved in the place of the weights"),
    ("w.pth", archive, r"it is a zip archive of other things \(README\.txt\)"),
    ("w.pth.tar", tar_archive, "it is a tar archive; valid: the file of weights inside it"),
    (
        "w.h5",
        lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)),
        r"it is an HDF5 file \(Keras, TensorFlow",
    ),
    ("w.npy", lambda path: np.save(path, np.zeros(3)), r"a \.npy file holds one array"),
    (
        "model.safetensors.index.json",
        lambda path: path.write_text(json.dumps({"metadata": {}, "weight_map": {"a": "model-00001.safetensors"}})),
        "it is the index of weights in several files",
    ),
    ("config.json", lambda path: path.write_text("{}"), "it is JSON"),
    ("w.pth", lambda path: path.write_bytes(b"\x1f\x8b" + bytes(99)), "it is compressed by gzip"),
    ("w.pt", scripted, "it is a TorchScript archive"),
    ("w.pth", lambda path: torch.save({0: torch.zeros(2)}, path), r"its keys are no names \(int 0\)"),
    ("w.pth", lambda path: torch.save({}, path), "not a state dict: it holds nothing"),
    ("w.pth", lambda path: torch.save(torch.zeros(3), path), "not a state dict: it holds a Tensor"),
    ("w.pth", lambda path: torch.save({"a": torch.zeros(2), "epoch": 3}, path), "its entry 'epoch' is a int"),
    ("w.pth", lambda path: torch.save({"optimizer": {"lr": 1}}, path), "its entry 'optimizer' is a dict"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "write", "message"), NO_WEIGHTS)
def test_what_is_no_weights_is_named_in_our_words_and_one_line(
    tmp_path: Path, name: str, write: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(InputError, match=message) as caught:
        read_state_dict(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    assert not any(word in said for word in ("weights_only", "Errno", "pickle.", "PytorchStreamReader", "header too"))


def test_an_array_that_declares_more_than_there_is_asks_for_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (4_000_000_000,)})
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("weight.npy", header.getvalue() + bytes(80))
    with pytest.raises(InputError, match=r"array 'weight' declares 32,000,000,000 bytes, but 80 are there$"):
        read_state_dict(tmp_path / "w.npz")


def test_other_members_of_an_npz_archive_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("weight.npy", b"no array")
    with pytest.raises(InputError, match="not a readable state dict"):
        read_state_dict(tmp_path / "w.npz")
