"""A user's own network by ``package.module:factory``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from restoration_core.errors import InputError
from restoration_core.interruption import Interrupted, interruptible
from restoration_core.networks import open_network, outline_network

CODE = """
import torch
from torch import nn
from restoration_core.networks import Classifier

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.body = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2), nn.ReLU())

    def forward(self, x):
        return self.body(self.act(self.stem(x)))

def small():
    return Net()

def ready():
    return Classifier(Net(), "anything", {"first": "stem"}, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 20)

def broken():
    raise KeyError("no such checkpoint")

class EndsLater(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        self.stem(x)
        raise SystemExit("done")

class Unfinished(nn.Module):
    def forward(self, x):
        return x.no_such_method()

def unfinished():
    return Unfinished()

def wordy():
    return "a network"

def leaving():
    import sys
    sys.exit(0)

def interrupting():
    raise KeyboardInterrupt

def pressed():
    import os, signal
    os.kill(os.getpid(), signal.SIGINT)
    import time
    time.sleep(5)

def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())

def wrapped():
    return nn.DataParallel(Net())

limit = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "__init__.py").write_text("")
    (tmp_path / "nets" / "mine.py").write_text(CODE)
    (tmp_path / "nets" / "unfinished.py").write_text("def f(:\n")
    (tmp_path / "nets" / "script.py").write_text("import sys\nsys.exit('usage: script.py DATA')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "nets"]:
        del sys.modules[name]


def test_a_module_in_the_current_folder_is_cut_open_under_the_names_given() -> None:
    layers = {"conv1/relu": "act", "conv2/lin": "body.0"}
    network = open_network("nets.mine:small", layers=layers, mean=[0.5, 0.4, 0.3], std=[0.2, 0.2, 0.5], size=32)
    assert network.layers == ("conv1/relu", "conv2/lin")
    assert (network.name, network.native_size, network.mean) == ("nets.mine:small", 32, (0.5, 0.4, 0.3))
    x = torch.rand(2, 3, 32, 32)
    z = (x - torch.tensor([0.5, 0.4, 0.3]).reshape(1, 3, 1, 1)) / torch.tensor([0.2, 0.2, 0.5]).reshape(1, 3, 1, 1)
    m = network.module
    found = network.features(x, ["conv1/relu", "body.0", "body"])
    torch.testing.assert_close(found["conv1/relu"], m.stem(z).relu())
    torch.testing.assert_close(found["body"], m.body(m.stem(z).relu()))
    assert (network.receptive_field("conv2/lin"), network.stride("conv2/lin")) == (5, 2)


def test_without_options_it_lists_every_module_and_sees_the_pictures_as_they_are() -> None:
    network = outline_network("nets.mine:small")
    assert network.layers == ("stem", "act", "body.0", "body.1")
    assert network.native_size == 224
    x = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(network.features(x, ["stem"])["stem"], network.module.stem(x))


def test_a_list_of_paths_is_a_list_of_layers() -> None:
    assert open_network("nets.mine:small", layers=["act", "body"], size=16).layers == ("act", "body")


def test_a_factory_may_return_a_network_already_cut_open() -> None:
    network = open_network("nets.mine:ready")
    assert (network.name, network.layers, network.native_size) == ("nets.mine:ready", ("first",), 20)
    with pytest.raises(InputError, match="the factory returned a Classifier, which has its own layers, size; valid"):
        open_network("nets.mine:ready", layers=["stem"], size=20)


def test_what_the_factory_draws_follows_the_seed_and_leaves_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = open_network("nets.mine:small", seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert open_network("nets.mine:small", "factory", seed=1).weights_id == first.weights_id
    assert open_network("nets.mine:small", seed=2).weights_id != first.weights_id


def test_its_weights_come_from_a_file(folder: Path) -> None:
    source = open_network("nets.mine:small", seed=3, size=16)
    save_file({k: v.contiguous() for k, v in source.module.state_dict().items()}, folder / "w.safetensors")
    assert open_network("nets.mine:small", "./w.safetensors", size=16).weights_id == source.weights_id
    save_file({"stem.weight": torch.zeros(1)}, folder / "bad.safetensors")
    with pytest.raises(InputError, match=r"missing body\.0\.bias.*shapes differ: stem\.weight \(1,\) instead of"):
        open_network("nets.mine:small", "bad.safetensors")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nets.mien:small", r"cannot import 'nets.mien' \(ModuleNotFoundError: No module named 'nets.mien'\); valid"),
        ("nets.unfinished:f", r"cannot import 'nets.unfinished' \(SyntaxError"),
        ("nets.mine:smal", "nets.mine has no 'smal'; did you mean 'small'?"),
        ("nets.mine:limit", "limit is of type int, which cannot be called"),
        ("nets.mine:", "not a module and a factory in it"),
        ("./nets/mine.py:small", "not a module and a factory in it; valid: package.module:factory"),
        ("nets.mine:broken", r"the factory failed \(KeyError: 'no such checkpoint'\)"),
        (
            "nets.mine:unfinished",
            "does not take pictures of 224 x 224: AttributeError: 'Tensor' object has no attribute",
        ),
        ("nets.mine:leaving", r"the factory failed \(it called sys.exit\(0\)\); valid: no arguments"),
        ("nets.mine:interrupting", r"the factory failed \(it raised KeyboardInterrupt\); valid: no arguments"),
        ("nets.script:f", r"cannot import 'nets.script' \(it called sys.exit\('usage: script.py DATA'\)\)"),
        ("nets.mine:wordy", "the factory returned a str; valid: a torch.nn.Module"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_network(name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": {"conv1": "steem"}}, "unknown module path 'steem'; did you mean 'stem'"),
        ({"layers": ["body.0", "body.3"]}, r"unknown module path 'body.3'; did you mean 'body.[01]'"),
        ({"layers": {"act": "stem"}}, "layer name 'act' of stem is the path of another module"),
        ({"mean": [0.5]}, r"mean must be three numbers \(red, green, blue\), but got \[0.5\]"),
        ({"std": [1, 1, 0]}, "std must be three numbers > 0"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean must be three numbers"),
        ({"size": 0}, r"size must lie in 1\.\.4096 pixels, but got 0"),
        ({"size": 2}, "does not take pictures of 2 x 2"),
        ({"weights": "imagenet"}, "unknown weights for nets.mine:small 'imagenet'; valid: factory, or a path"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_network("nets.mine:small", **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_networks_of_the_catalogue_take_no_options() -> None:
    with pytest.raises(InputError, match="layers, size: for a network of one's own only, but 'alexnet' has its own"):
        open_network("alexnet", "random", layers=["features.0"], size=64)


def test_a_real_interrupt_while_the_factory_runs_stays_one() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        open_network("nets.mine:pressed")
    assert signal.getsignal(signal.SIGINT) is handler


def test_weights_go_into_lazy_and_into_wrapped_modules_and_what_was_taken_off_is_noted(folder: Path) -> None:
    lazy = open_network("nets.mine:lazy", seed=3, size=16)
    torch.save({"model": lazy.module.state_dict()}, folder / "lazy.pth")
    again = open_network("nets.mine:lazy", "lazy.pth", size=16)
    assert again.weights_id == lazy.weights_id
    assert again.notes == ("lazy.pth: read its entry 'model'",)
    plain = open_network("nets.mine:small", seed=3, size=16)
    torch.save({f"module.{key}": value for key, value in plain.module.state_dict().items()}, folder / "ddp.pth")
    for name in ("nets.mine:small", "nets.mine:wrapped"):
        opened = open_network(name, "ddp.pth", size=16)
        assert opened.weights_id == plain.weights_id
        assert opened.notes == ("ddp.pth: took 'module.' off its names",)


@pytest.mark.parametrize("opening", [open_network, outline_network])
def test_a_network_that_ends_the_program_when_a_picture_passes_is_told_in_one_line(opening: Any) -> None:
    with pytest.raises(InputError, match=r"nets\.mine:EndsLater.*it called sys\.exit\('done'\)") as caught:
        opening("nets.mine:EndsLater")
    assert "\n" not in str(caught.value)


def test_a_signal_that_asks_to_stop_while_a_factory_runs_does_so(folder: Path) -> None:
    (folder / "nets" / "ended.py").write_text("import signal\n\ndef f():\n    signal.raise_signal(signal.SIGTERM)\n")
    with pytest.raises(Interrupted), interruptible():
        open_network("nets.ended:f")
