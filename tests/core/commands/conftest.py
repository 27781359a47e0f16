"""The commands are entry points: they exist where the package is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import pytest


@pytest.fixture(autouse=True)
def _needs_the_installed_package() -> None:
    try:
        distribution("deep-restoration")
    except PackageNotFoundError:
        pytest.skip("the command's entry points need the package installed: pip install -e .")


@pytest.fixture(autouse=True)
def _no_width_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that exports COLUMNS does not make the tests' tables narrow."""
    monkeypatch.delenv("COLUMNS", raising=False)
