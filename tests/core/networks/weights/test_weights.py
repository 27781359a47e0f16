from __future__ import annotations

import os
import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from restoration_core.errors import InputError
from restoration_core.networks.weights import download_state_dict, load_into, read_state_dict

URL = "https://weights.invalid/models/net-1234.pth"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints" / "net-1234.pth"


def test_a_state_dict_that_does_not_fit_tells_keys_and_shapes_in_one_line() -> None:
    state = {"weight": torch.zeros(2, 4), "scale": torch.zeros(1)}
    with pytest.raises(InputError) as caught:
        load_into(nn.Linear(3, 2), state, "w.pt")
    assert str(caught.value) == (
        "w.pt: does not fit the network: missing bias; unknown scale; shapes differ: weight (2, 4) instead of (2, 3)"
    )


def test_weights_that_are_no_file_are_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    os.symlink("circle.pt", tmp_path / "circle.pt")
    for path, message in {
        tmp_path / "pipe.pt": r"pipe\.pt: is a named pipe, not a weights file; valid: a state dict as \.safetensors",
        tmp_path / "circle.pt": r"circle\.pt: no weights file that can be read \(its links lead in a circle\)",
        tmp_path: "unknown kind of weights file",
        tmp_path / f"{'n' * 3000}.pt": r"n\.\.\.n+\.pt: no weights file that can be read \(file name too long\)",
        tmp_path / "none.pt": r"none\.pt: no such weights file",
    }.items():
        with pytest.raises(InputError, match=message):
            read_state_dict(path)


def test_long_lists_of_keys_are_cut() -> None:
    with pytest.raises(InputError, match=r"missing 0\.bias, 0\.weight, 1\.bias, 1\.weight and 2 more$"):
        load_into(nn.Sequential(*(nn.Linear(1, 1) for _ in range(3))), {}, "w.pt")


def test_a_fitting_state_dict_is_copied_and_the_batch_counter_may_be_missing() -> None:
    source, module = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    nn.init.normal_(source.weight)
    load_into(module, {k: v for k, v in source.state_dict().items() if k != "num_batches_tracked"}, "w.pt")
    assert torch.equal(module.weight, source.weight)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self.path),)  # type: ignore[return-value]

    def __init__(self, path: Path) -> None:
        self.path = str(path)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "w.pt", tmp_path / "was_here"
    torch.save({"weight": Harmful(trace)}, path)
    with pytest.raises(InputError, match="not a readable state dict") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Harmful(trace)))
    assert trace.exists()  # the attack itself works: it was the reader that stopped it


def test_code_in_an_npz_archive_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "w.npz", tmp_path / "was_here"
    np.savez(path, weight=np.array([Harmful(trace)], dtype=object))
    with pytest.raises(InputError, match=r"\(an array of Python objects, which is not opened\)"):
        read_state_dict(path)
    assert not trace.exists()


def test_arrays_come_from_an_npz_archive(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", weight=np.arange(3, dtype=np.float32))
    assert torch.equal(read_state_dict(tmp_path / "w.npz")["weight"], torch.arange(3.0))


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.npz"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"not weights" * 10)
    with pytest.raises(InputError, match="not a readable state dict") as caught:
        read_state_dict(path)
    assert "\n" not in str(caught.value)


def test_missing_files_other_kinds_and_other_contents_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such weights file"):
        read_state_dict(tmp_path / "none.pt")
    with pytest.raises(InputError, match=r"unknown kind of weights file '\.txt'"):
        read_state_dict(tmp_path / "w.txt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InputError, match="not a state dict"):
        read_state_dict(tmp_path / "list.pt")


def test_tensors_survive_the_safetensors_file(tmp_path: Path) -> None:
    save_file({"weight": torch.arange(3.0)}, tmp_path / "w.safetensors")
    assert torch.equal(read_state_dict(tmp_path / "w.safetensors")["weight"], torch.arange(3.0))


def test_cached_weights_are_read_without_a_connection(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    torch.save({"weight": torch.arange(3.0)}, cache)
    assert torch.equal(download_state_dict(URL, "net")["weight"], torch.arange(3.0))


def test_a_damaged_cached_file_is_named(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"half a download")
    with pytest.raises(InputError, match=r"net-1234\.pth: not a readable state dict .*; delete it"):
        download_state_dict(URL, "net")


def test_a_failed_download_is_one_line_with_the_ways_out(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(InputError, match="could not download the imagenet weights of net") as caught:
        download_state_dict(URL, "net")
    assert "\n" not in str(caught.value)
    assert str(cache) in str(caught.value)
    assert "no route to host" in str(caught.value)
    assert capsys.readouterr().out == ""
    assert not cache.exists()
