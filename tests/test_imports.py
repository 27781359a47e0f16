"""The arrows between the rooms: each package is imported in a fresh interpreter and pulls in only what it may."""

from __future__ import annotations

import ast
import graphlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVICE = {"ray", "optuna", "mlflow", "sqlalchemy", "pandas", "streamlit", "sweeps", "dashboard"}
FORBIDDEN = {
    "restoration_core": SERVICE,
    "restoration_core.images": SERVICE | {"torch"},
    "restoration_core.networks": SERVICE | {"torchvision"},
    "restoration_core.priors": SERVICE
    | {"torchvision", "restoration_core.reconstruction", "restoration_core.objectives"},
    "restoration_core.calibration": SERVICE | {"torchvision"},
    "restoration_core.objectives": SERVICE | {"torchvision"},
    "restoration_core.reconstruction": SERVICE | {"torchvision"},
    "restoration_core.metrics": SERVICE | {"torchvision", "torchmetrics", "scipy"},
    "restoration_core.cli": SERVICE | {"torch"},
    "sweeps": {"ray", "optuna", "mlflow", "torch", "streamlit", "dashboard"},
    "sweeps.spec": {"ray", "mlflow", "streamlit", "dashboard"},
    "sweeps.cli": {"ray", "optuna", "mlflow", "torch", "streamlit", "dashboard"},
    "sweeps.execution.protocol": {"ray", "optuna", "mlflow", "torch", "sqlalchemy", "streamlit", "dashboard"},
    "sweeps.store": {"ray", "optuna", "mlflow", "torch", "streamlit", "dashboard", "restoration_core.networks"},
    "dashboard": {"ray", "optuna", "mlflow", "torch", "restoration_core.networks", "sweeps.execution.coordinator"},
    "dashboard.data": {"ray", "optuna", "mlflow", "torch", "restoration_core.networks", "sweeps.execution.coordinator"},
    "dashboard.charts": {"ray", "optuna", "mlflow", "torch", "restoration_core", "sweeps"},
}


def imported_by(module: str) -> set[str]:
    """Names of all modules that importing ``module`` in a fresh interpreter loads."""
    code = f"import sys, {module}; print(chr(10).join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, f"importing {module} failed:\n{result.stderr}"
    return set(result.stdout.split())


@pytest.mark.parametrize("module", sorted(FORBIDDEN))
@pytest.mark.slow
def test_package_pulls_in_nothing_beyond_its_arrows(module: str) -> None:
    loaded = imported_by(module)
    assert module in loaded
    broken = sorted(name for name in FORBIDDEN[module] if name in loaded)
    assert not broken, f"{module} must not import {broken}"


@pytest.mark.slow
def test_the_whole_core_runs_without_the_service() -> None:
    import restoration_core

    names = [m.name for m in pkgutil.walk_packages(restoration_core.__path__, "restoration_core.")]
    assert "restoration_core.reconstruction.problem" in names
    loaded = imported_by(", ".join(names))
    assert not sorted(SERVICE & loaded)


def _files() -> dict[str, Path]:
    """Every code file of the packages by its dotted name."""
    found = {}
    for package in ("restoration_core", "sweeps", "dashboard"):
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_between_files(files: dict[str, Path]) -> dict[str, set[str]]:
    """File -> files it imports: at the top, inside functions and for the type checker alike."""
    arrows: dict[str, set[str]] = {}
    for name, path in files.items():
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {full if full in files else node.module for full in inside}
        arrows[name] = {target for target in found if target in files} - {name}
    return arrows


def test_no_files_import_each_other_in_a_circle() -> None:
    arrows = imports_between_files(_files())
    assert "restoration_core.errors" in arrows["restoration_core.networks.classifier"]
    try:
        list(graphlib.TopologicalSorter(arrows).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"these files import each other: {' -> '.join(error.args[1])}")
