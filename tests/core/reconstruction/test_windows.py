"""Jitter windows: reading, its adjoint, and the indexed path that accelerators take."""

from __future__ import annotations

import torch

from restoration_core.reconstruction import windows
from restoration_core.reconstruction.windows import read_windows, write_windows

OFFSETS = [(0, 2), (1, 0), (2, 1)]


def canvas() -> torch.Tensor:
    return torch.rand(3, 3, 7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_every_row_is_seen_through_its_own_window() -> None:
    full = canvas()
    seen = read_windows(full, OFFSETS, torch.empty(3, 3, 5, 5, dtype=torch.float64))
    for row, (top, left) in enumerate(OFFSETS):
        assert torch.equal(seen[row], full[row, :, top : top + 5, left : left + 5])


def test_writing_is_the_adjoint_of_reading() -> None:
    full, gradient = canvas(), torch.rand(3, 3, 5, 5, dtype=torch.float64)
    seen = read_windows(full, OFFSETS, torch.empty_like(gradient))
    back = write_windows(gradient, OFFSETS, torch.full_like(full, 9.0))
    torch.testing.assert_close((seen * gradient).sum(), (full * back).sum())


def test_the_indexed_path_equals_the_row_copies() -> None:
    full, gradient = canvas(), torch.rand(3, 3, 5, 5, dtype=torch.float64)
    index = windows._index(OFFSETS, torch.device("cpu"))
    assert torch.equal(windows._all_windows(full, 5, 5)[index], read_windows(full, OFFSETS, torch.empty_like(gradient)))
    target = torch.zeros_like(full)
    windows._all_windows(target, 5, 5).index_put_(index, gradient)
    assert torch.equal(target, write_windows(gradient, OFFSETS, torch.empty_like(full)))
