"""What an experiment will cost: reconstructions, iterations and hours, measured before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sweeps.experiment.cells import cells, sweep_of
from sweeps.experiment.models import ExperimentSpec


def counts(spec: ExperimentSpec) -> dict[str, int]:
    """Return how much an experiment computes, for one cell and in all; nothing is measured.

    Returns:
        ``cells``; ``search_rows`` and ``test_rows``, reconstructions of one cell; ``iterations`` of each; and
        ``row_iterations`` in all.
    """
    search_rows = spec.trials * len(spec.search_images)
    test_rows = (spec.starts + 1) * len(spec.test_images)
    number = len(cells(spec))
    return {
        "cells": number,
        "search_rows": search_rows,
        "test_rows": test_rows,
        "iterations": spec.iterations,
        "row_iterations": number * (search_rows + test_rows) * spec.iterations,
    }


def plan(spec: ExperimentSpec, notice: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Return what an experiment will cost on this machine at its present load, measured on some steps of every cell.

    Args:
        spec: checked.
        notice: called with a line for each depth.

    Returns:
        JSON: :func:`counts`, ``machine_hours`` of one core, and ``step_ms`` by depth and arm: milliseconds of one
        iteration of one reconstruction.
    """
    from sweeps.lifecycle.plan import plan as plan_sweep

    found = counts(spec)
    rows = found["search_rows"] + found["test_rows"]
    step_ms: dict[str, dict[str, float]] = {}
    seconds = 0.0
    for cell in cells(spec):
        if cell.depth not in step_ms:
            notice(f"measuring some iterations of every arm at {cell.depth}")
        measured = plan_sweep(sweep_of(spec, cell))
        row_step_s = measured.step_s / measured.batch_rows
        step_ms.setdefault(cell.depth, {})[cell.arm] = 1e3 * row_step_s
        seconds += rows * spec.iterations * row_step_s
    return {**found, "machine_hours": seconds / 3600, "step_ms": step_ms}


def in_words(spec: ExperimentSpec, found: dict[str, Any]) -> list[str]:
    """Return a plan as lines of text."""
    lines = [
        f"{len(spec.arm_names)} arms x {len(spec.depths)} depths = {found['cells']} cells",
        f"search: {spec.trials} trials x {len(spec.search_images)} photographs x {spec.iterations} iterations a cell",
        f"test: {len(spec.test_images)} photographs x {spec.starts} starts and the truth, as many iterations each",
        f"in all {found['row_iterations']:,} iterations of one {spec.image_size} px picture",
    ]
    if "machine_hours" in found:
        lines.append(f"about {found['machine_hours']:.2f} hours of one core of this machine, as it is loaded now")
    return lines
