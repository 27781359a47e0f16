"""A tiny sweep, and the command in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from sweeps.cli import sweep

SPEC = """\
name: tiny
images: [sample:coffee]
image_size: 32
validate_on: [sample:rocket]
match: conv1/relu
method: {sampler: random, trials: 3}
budget: {iterations: 6}
save: {images: all}
baselines: [none]
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e1}
"""


def restoration(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; standard error ends with the heavy modules it loaded."""
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print('loaded:', *({'ray', 'optuna', 'mlflow', 'torch'} & set(sys.modules)), "
        "file=sys.stderr))\n"
        "from restoration_core.cli import main\n"
        "main(sys.argv[1:])\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(sweep, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
