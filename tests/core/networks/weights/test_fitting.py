"""A state dict put into a network: prefixes taken off, and tensors that hold no weights refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from restoration_core.errors import InputError
from restoration_core.networks.weights import load_file_into, load_into

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch means to take these types away
    QUANTISED = torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.quint8)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


@pytest.fixture
def source() -> dict[str, Tensor]:
    return {key: value.clone() for key, value in network().state_dict().items()}


def loaded(tmp_path: Path, content: object) -> tuple[nn.Module, tuple[str, ...]]:
    module = network()
    torch.save(content, tmp_path / "w.pth")
    return module, load_file_into(module, tmp_path / "w.pth")


def equal(module: nn.Module, source: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, source[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "backbone.",
        "module._orig_mod.",
        "_orig_mod.module.",
        "model.encoder.",
    ],
)
def test_the_prefixes_of_wrappers_are_taken_off_and_told(
    tmp_path: Path, source: dict[str, Tensor], prefix: str
) -> None:
    module, notes = loaded(tmp_path, {"epoch": 1, "state_dict": under(prefix, source)})
    assert equal(module, source)
    assert len(notes) == 1
    assert notes[0].startswith(f"{tmp_path / 'w.pth'}: read its entry 'state_dict' and not epoch; took '")
    assert "\n" not in notes[0]


def test_a_compiled_part_leaves_its_mark_in_the_middle_of_names(tmp_path: Path, source: dict[str, Tensor]) -> None:
    marked = {key.replace("0.", "0._orig_mod."): value for key, value in source.items()}
    module, notes = loaded(tmp_path, marked)
    assert equal(module, source)
    assert "took '_orig_mod.' out of its names" in notes[0]


def test_what_lies_beside_the_network_under_other_prefixes_is_left_out_and_told(
    tmp_path: Path, source: dict[str, Tensor]
) -> None:
    module, notes = loaded(tmp_path, {**under("model.", source), "criterion.weight": torch.zeros(3)})
    assert equal(module, source)
    assert "took 'model.' off its names, and left out criterion.weight" in notes[0]


def test_two_networks_that_fit_are_not_chosen_between(tmp_path: Path, source: dict[str, Tensor]) -> None:
    both = {**under("student.", source), **under("teacher.", source)}
    with pytest.raises(InputError, match=r"several networks in it fit, under the prefixes '(student|teacher)\.'"):
        loaded(tmp_path, both)


def test_what_does_not_fit_under_a_prefix_is_told_without_it(tmp_path: Path, source: dict[str, Tensor]) -> None:
    state = under("module.", source)
    del state["module.0.bias"]
    with pytest.raises(InputError, match=r"does not fit the network: missing 0\.bias$"):
        loaded(tmp_path, state)


def test_a_network_whose_own_names_begin_like_a_wrapper_is_left_alone(tmp_path: Path) -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = nn.Linear(2, 2)

    source = Wrapped()
    torch.save(source.state_dict(), tmp_path / "w.pt")
    module = Wrapped()
    assert load_file_into(module, tmp_path / "w.pt") == ()
    assert torch.equal(module.model.weight, source.model.weight)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(4, dtype=torch.int8), r"0\.bias is int8, where the network has float32"),
        (torch.zeros(4, dtype=torch.bool), r"0\.bias is bool, where"),
        (torch.zeros(4, dtype=torch.int64), r"0\.bias is int64, where"),
        (torch.zeros(4, dtype=torch.complex64), r"0\.bias is complex64, where"),
        (torch.zeros(4).to(torch.float8_e4m3fn), r"0\.bias is float8_e4m3fn, where"),
        (torch.zeros(4, device="meta"), r"0\.bias has a shape but no values \(it is on the device meta\)"),
        (torch.zeros(4).to_sparse(), r"0\.bias is sparse \(sparse_coo; to_dense\(\) makes it dense\)"),
        (torch.full((4,), torch.nan), r"0\.bias has values that are not finite"),
        (torch.tensor([1.0, torch.inf, 0.0, 0.0]), r"0\.bias has values that are not finite"),
        (QUANTISED, r"0\.bias is quantised"),
    ],
)
def test_tensors_that_hold_no_weights_are_refused_in_one_line(
    tmp_path: Path, source: dict[str, Tensor], value: Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=f"w.pth: no weights of this network: {message}.*; valid: dense") as caught:
        loaded(tmp_path, {**source, "0.bias": value})
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_a_sparse_matrix_in_compressed_rows_is_refused_as_well() -> None:
    with pytest.raises(InputError, match=r"weight is sparse \(sparse_csr"):
        load_into(nn.Linear(2, 2, bias=False), {"weight": torch.eye(2).to_sparse_csr()}, "w.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_types_are_converted_and_told(
    tmp_path: Path, source: dict[str, Tensor], dtype: torch.dtype
) -> None:
    state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in source.items()}
    module, notes = loaded(tmp_path, state)
    assert module[0].bias.dtype == torch.float32  # type: ignore[index]
    assert notes == (f"{tmp_path / 'w.pth'}: read {str(dtype).removeprefix('torch.')} as float32",)
