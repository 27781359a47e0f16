"""The cells of an experiment, one arm at one depth, each a sweep of its own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from restoration_core.errors import InputErrors
from restoration_core.seeds import derive_seed
from sweeps.experiment.models import WITH_MAPS, ExperimentSpec
from sweeps.search.distributions import middle
from sweeps.spec.load import parse_spec
from sweeps.spec.models import SweepSpec
from sweeps.spec.parameter import Parameter

MIDDLE = "middle"
"""Name of the trial that every sweep of an experiment begins with: the middle of every range."""
TRIALS_AT_A_TIME = 2
"""Trials in flight in a sweep: few, because the sampler must learn from a small number of trials."""


@dataclass(frozen=True)
class Cell:
    """One arm at one depth."""

    depth: str
    arm: str

    def sweep_name(self, experiment: str) -> str:
        """Return the name of its sweep in the store."""
        arm = self.arm.removesuffix(WITH_MAPS)
        return f"{experiment}.{self.depth}.{arm}" + (".maps" if arm != self.arm else "")

    @property
    def file_name(self) -> str:
        return f"{self.depth}.{self.arm}"


def cells(spec: ExperimentSpec) -> list[Cell]:
    """Return all cells in the order in which they are computed.

    First come all arms without feature-map priors, depth by depth, then all arms with them. So an experiment that is
    interrupted can compare its arms at the depths that are done.
    """
    passes = (False, True) if spec.feature_maps else (False,)
    return [
        Cell(depth, arm)
        for with_maps in passes
        for depth in spec.depths
        for arm in spec.arm_names
        if arm.endswith(WITH_MAPS) == with_maps
    ]


def sweep_of(spec: ExperimentSpec, cell: Cell, check: bool = True) -> SweepSpec:
    """Return the sweep that searches a cell.

    Args:
        spec: of the experiment; its pictures expanded.
        cell: of it.
        check: also look at pictures, layers and metrics.

    Raises:
        InputErrors: every fault, one line each.
    """
    source = f"arm {cell.arm} at {cell.depth}"
    sections: dict[str, Any] = {
        "name": cell.sweep_name(spec.name),
        "network": spec.network,
        "images": spec.search_images,
        "image_size": spec.image_size,
        "match": {"layer": spec.depths[cell.depth]},
        "metric": spec.metric,
        # The same for all arms at a depth, so that parameters which they share are searched at the same random points.
        "method": {"sampler": "tpe", "trials": spec.trials - 1, "seed": derive_seed(spec.seed, cell.depth) % 2**31},
        "budget": {"iterations": spec.iterations},
        "save": {"images": "best", "curves_every": max(1, spec.iterations // 10)},
        "resources": {"pack": TRIALS_AT_A_TIME, "actors": 1, "threads": 1},
        "parameters": spec.parameters_of(cell.arm, cell.depth),
    }
    bare = _parsed(sections, source, check=False)
    sections["baselines"] = [{"name": MIDDLE, "parameters": _middles(bare.parameters)}]
    return _parsed(sections, source, check)


def _middles(parameters: dict[str, Parameter]) -> dict[str, Any]:
    return {name: middle(parameter) for name, parameter in parameters.items() if not parameter.fixed}


def _parsed(sections: dict[str, Any], source: str, check: bool) -> SweepSpec:
    try:
        return parse_spec(json.dumps(sections, indent=1), source, check)
    except InputErrors as error:
        # Line numbers of the YAML that is made here would mean nothing to the author of the experiment.
        raise InputErrors(
            [re.sub(rf"^{re.escape(source)}:\d+: ", f"{source}: ", line) for line in error.lines]
        ) from error
