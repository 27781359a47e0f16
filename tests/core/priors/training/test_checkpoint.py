"""Checkpoints: they give back what was kept, bit by bit, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from restoration_core.priors.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_damaged_state_is_no_state(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    assert Checkpoint(path, "key").load() is None


def test_checkpoint_keeps_tensors_and_numbers_bit_by_bit(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "key")
    assert checkpoint.load() is None
    tensors = {"half": torch.randn(3).half(), "long": torch.arange(4), "double": torch.rand(2, dtype=torch.float64)}
    state = {"loss": 0.1 + 0.2, "infinite": float("inf"), "steps": [1, 2]}
    checkpoint.save(tensors, state)
    found = checkpoint.load()
    assert found is not None
    assert found[1] == state
    assert all(torch.equal(found[0][name], tensor) for name, tensor in tensors.items())
    (tmp_path / "state.99.part").write_bytes(b"left by a kill")
    checkpoint.remove()
    assert not list(tmp_path.iterdir())


def test_optimiser_goes_on_with_the_state_it_had() -> None:
    def steps(parameter: torch.Tensor, optimizer: torch.optim.Optimizer, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (parameter**4).sum().backward()
            optimizer.step()

    parameter = torch.linspace(-1, 1, 5).requires_grad_()
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    steps(parameter, optimizer, 3)
    other = parameter.detach().clone().requires_grad_()
    resumed = torch.optim.Adam([other], lr=0.1)
    restore_optimizer(resumed, {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()})
    steps(parameter, optimizer, 3)
    steps(other, resumed, 3)
    assert torch.equal(parameter, other)


def test_the_optimisers_state_lies_in_memory_as_its_parameter_does(tmp_path: Path) -> None:
    def optimiser() -> tuple[torch.Tensor, torch.optim.Optimizer]:
        filters = torch.ones(4, 3, 2, 2).to(memory_format=torch.channels_last).requires_grad_()
        return filters, torch.optim.Adam([filters], lr=0.1)

    filters, before = optimiser()
    filters.square().sum().backward()
    before.step()
    checkpoint = Checkpoint(tmp_path / "state", "key")
    checkpoint.save(optimizer_tensors(before), {})
    found = checkpoint.load()
    assert found is not None
    other, after = optimiser()
    restore_optimizer(after, found[0])
    for name in ("exp_avg", "exp_avg_sq"):
        assert after.state[other][name].stride() == other.stride()
        assert torch.equal(after.state[other][name], before.state[filters][name])
