"""What a run's report says of its packs."""

from __future__ import annotations

from sweeps.execution.pack import PackSummary
from sweeps.execution.runners.base import RunReport


def summary(*notices: str) -> PackSummary:
    return PackSummary("p", "w", 1, 0, 0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, notices)


def test_what_several_packs_tell_is_told_once() -> None:
    packs = (
        summary("a batch failed (OutOfMemoryError: tried to allocate 2 GiB)", "measuring failed (ValueError: x)"),
        summary("a batch failed (OutOfMemoryError: tried to allocate 3 GiB)"),
        summary(),
    )
    assert RunReport({}, packs).notices == packs[0].notices
