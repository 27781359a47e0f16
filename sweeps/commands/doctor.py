"""``restoration doctor``: is everything there that a sweep needs?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from restoration_core.commands.tables import print_table
from restoration_core.errors import Failure, InputError, in_one_line
from restoration_core.informing import PrintingCommand
from sweeps.commands.common import Addresses, address_options, json_option, print_json
from sweeps.shown_address import show_url

PACKAGES = ("torch", "torchvision", "ray", "optuna", "mlflow", "sqlalchemy", "alembic", "pydantic", "streamlit")
LEAST_PYTHON = (3, 11)
LEAST_MEMORY_MB = 2000.0
LEAST_DISK_MB = 1000.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at; ``remedy`` is empty when all is well."""

    what: str
    found: str
    remedy: str = ""

    @property
    def ok(self) -> bool:
        return not self.remedy


@click.command(cls=PrintingCommand, short_help="Is everything there that a sweep needs?")
@json_option
@address_options
def doctor(as_json: bool, addresses: Addresses) -> None:
    """Check versions, weights, the store, MLflow, memory and disk; exit 1 when something needs a remedy."""
    findings = examine(addresses)
    if as_json:
        print_json([{"what": f.what, "ok": f.ok, "found": f.found, "remedy": f.remedy or None} for f in findings])
    else:
        rows = [
            {"": "ok" if item.ok else "problem", "what": item.what, "found": item.found, "remedy": item.remedy or None}
            for item in findings
        ]
        print_table(rows, ["", "what", "found", "remedy"], head=2)
    if not all(item.ok for item in findings):
        click.get_current_context().exit(1)


def examine(addresses: Addresses) -> list[Finding]:
    """Return what was found; nothing is made or changed."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", _python),
        *((name, lambda name=name: _package(name)) for name in PACKAGES),
        ("bundled network", _weights),
        ("bundled priors", _priors),
        ("cores", _cores),
        ("memory", _memory),
        ("disk", lambda: _disk(Path.cwd())),
        ("store", lambda: _store(addresses.store)),
        ("MLflow", lambda: _mlflow(addresses)),
    ]
    return [_guarded(what, check) for what, check in checks]


def _guarded(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (InputError, Failure) as error:
        return Finding(what, "not usable", str(error))
    except Exception as error:  # whatever else is broken is what this command is for
        text = in_one_line(error)[:200]
        return Finding(what, "broken", f"{type(error).__name__}: {text}; install the package again")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    needed = ".".join(map(str, LEAST_PYTHON))
    return Finding("Python", version, "" if sys.version_info >= LEAST_PYTHON else f"needs Python >= {needed}")


def _package(name: str) -> Finding:
    if importlib.util.find_spec(name) is None:
        return Finding(name, "missing", "pip install 'deep-restoration[dashboard]'")
    if name == "ray":
        importlib.import_module(name)  # where its native parts do not fit the machine, it is found but not importable
    found = importlib.metadata.version(name)
    unmet = [text for text in _requirements(name) if not _satisfies(found, text)]
    return Finding(name, found, f"needs {name}{unmet[0]}: pip install 'deep-restoration[dashboard]'" if unmet else "")


def _requirements(name: str) -> Iterator[str]:
    """Yield the version ranges that our own package asks of ``name``."""
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires("deep-restoration") or []:
        requirement = Requirement(text)
        if requirement.name == name and str(requirement.specifier):
            yield str(requirement.specifier)


def _satisfies(version: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version, prereleases=True)


def _weights() -> Finding:
    from restoration_core.networks import open_network

    classifier = open_network()
    return Finding("bundled network", f"{classifier.name}, weights {classifier.weights_id}")


def _priors() -> Finding:
    from restoration_core.priors.library import PriorLibrary

    bundled = [entry.name for entry in PriorLibrary().list() if entry.bundled]
    remedy = "" if bundled else "none are there, so a sweep trains its own: install the package again"
    return Finding("bundled priors", ", ".join(bundled) or "none", remedy)


def _cores() -> Finding:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Finding("cores", f"{cores} cores, {gpus} GPUs")


def _memory() -> Finding:
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return Finding("memory", "unknown on this system")
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
    available = _available_mb() or free
    remedy = "" if available >= LEAST_MEMORY_MB else f"a sweep needs about {LEAST_MEMORY_MB:,.0f} MB: end other work"
    return Finding("memory", f"{available:,.0f} MB available", remedy)


def _available_mb() -> float | None:
    """Return what Linux says can be had without swapping, caches included."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["MemAvailable"].split()[0]) / 1000 if "MemAvailable" in fields else None


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free / 1e6
    remedy = "" if free >= LEAST_DISK_MB else f"less than {LEAST_DISK_MB:,.0f} MB: free some, or move the store"
    return Finding("disk", f"{free:,.0f} MB free in {folder}", remedy)


def _store(url: str) -> Finding:
    from sweeps.store import open_reader, read_only_fault, store_file

    shown, file = show_url(url), store_file(url)
    if file is not None and not file.exists():
        usable = file.parent.is_dir() and os.access(file.parent, os.W_OK)
        remedy = "" if usable else f"the folder {file.parent} must exist and be writable"
        return Finding("store", f"{shown} will be made by the first sweep", remedy)
    reader = open_reader(url)
    try:
        count = len(reader.sweeps())
        found = f"{shown}: {count} {'sweep' if count == 1 else 'sweeps'}, {reader.size_bytes() / 1e6:,.1f} MB"
        fault = None if file is None else read_only_fault(file)
        return Finding("store", found if fault is None else f"{found}, but it cannot be written", fault or "")
    finally:
        reader.close()


def _mlflow(addresses: Addresses) -> Finding:
    from sweeps.tracking import check

    if addresses.mlflow is None:
        return Finding("MLflow", "off")
    status = check(addresses.mlflow)
    if status.reachable:
        return Finding("MLflow", status.reason)
    what, _, remedy = status.reason.partition("; ")
    return Finding("MLflow", what, remedy or "start it, give another --mlflow, or --mlflow off and `sweep sync` later")
