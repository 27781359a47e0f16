"""Makes small experiments over the sample pictures for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sweeps.experiment.models import ExperimentSpec

TRIALS, STARTS = 3, 2
SEARCHED, TESTED = ["sample:astronaut"], ["sample:chelsea", "sample:china", "sample:coffee"]


def sections(**changes: Any) -> dict[str, Any]:
    """Return the sections of a tiny experiment of two arms at one depth; keyword arguments replace them."""
    return {
        "name": "tiny",
        "image_size": 16,
        "depths": {"middle": "conv2/relu"},
        "search_images": SEARCHED,
        "test_images": TESTED,
        "iterations": 10,
        "trials": TRIALS,
        "starts": STARTS,
        "metric": "psnr",
        "parameters": {"learning_rate": {"distribution": "log_uniform", "min": 0.02, "max": 0.2}},
        "priors": {
            "variation": {"total_variation": {"weight": {"distribution": "log_uniform", "min": 0.01, "max": 1.0}}},
            "experts": {
                "priors.image": {
                    "expert": "student_t",
                    "patch_size": 8,
                    "weight": {"distribution": "log_uniform", "min": 1e-6, "max": 1e-4},
                }
            },
        },
        "arms": {"variation": ["variation"], "experts": ["variation", "experts"]},
        "shown": 1,
    } | changes


def make_experiment(**changes: Any) -> ExperimentSpec:
    return ExperimentSpec.model_validate(sections(**changes))


def write_experiment(folder: Path, **changes: Any) -> Path:
    """Write the experiment as a file; JSON is YAML."""
    path = folder / "tiny.yaml"
    path.write_text(json.dumps(sections(**changes), indent=1))
    return path
