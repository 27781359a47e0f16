"""Jitter windows: reading, its adjoint, and the indexed operations that accelerators use."""

from __future__ import annotations

import torch

from restoration_core.reconstruction.batch.windows import (
    gather_windows,
    read_windows,
    scatter_windows,
    write_windows,
)

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


def test_gathering_and_scattering_by_index_equal_the_row_copies() -> None:
    full, gradient = canvas(), torch.rand(3, 3, 5, 5, dtype=torch.float64)
    read, written = torch.empty_like(gradient), torch.full_like(full, 9.0)
    assert torch.equal(gather_windows(full, OFFSETS, read), read_windows(full, OFFSETS, torch.empty_like(gradient)))
    assert torch.equal(
        scatter_windows(gradient, OFFSETS, written), write_windows(gradient, OFFSETS, torch.empty_like(full))
    )
