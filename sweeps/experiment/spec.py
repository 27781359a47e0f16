"""Reading an experiment from YAML: every fault at once, and every arm's sweep checked before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.images import expand_images
from sweeps.experiment.cells import cells, sweep_of
from sweeps.experiment.models import ExperimentSpec
from sweeps.experiment.photographs import look_at
from sweeps.experiment.training import with_trained
from sweeps.spec.yaml_loader import Document, YamlPath, load_yaml


def load_experiment(
    path: str | Path,
    search: Sequence[str] = (),
    test: Sequence[str] = (),
    train: str | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> ExperimentSpec:
    """Read and check an experiment's YAML file.

    Args:
        path: of the file.
        search, test: photographs (paths, globs, ``sample:NAME``) in place of those in the file.
        train: folder of photographs to train on in place of the file's.
        notice: called with a line now and then while a prior is trained.

    Returns:
        The experiment, globs expanded, its priors trained.

    Raises:
        InputErrors: every fault, one line each.
        InputError: the file cannot be read as YAML at all.
    """
    document = load_yaml(path)
    if not isinstance(document.data, dict):
        raise InputError(f"{path}:1: an experiment is a mapping with the keys {', '.join(_keys())}")
    given: dict[str, Any] = {"name": Path(path).stem, **document.data}
    given |= {key: list(value) for key, value in (("search_images", search), ("test_images", test)) if value}
    given |= {} if train is None else {"train_images": train}
    try:
        spec = ExperimentSpec.model_validate({**given, "text": document.text})
    except ValidationError as error:
        raise InputErrors([*document.faults, *_lines(error, document)]) from error
    if document.faults:
        raise InputErrors(list(document.faults))
    pictures = {key: _expanded(getattr(spec, key), key, document) for key in ("search_images", "test_images")}
    spec = spec.model_copy(update=pictures)
    look_at(spec)  # photographs that are used twice are refused before a prior is trained on them
    spec = with_trained(spec, notice)
    faults: list[str] = []
    for cell in cells(spec):
        try:
            sweep_of(spec, cell)
        except InputErrors as error:
            faults.extend(f"{path}: {line}" for line in error.lines)
    if faults:
        raise InputErrors(list(dict.fromkeys(faults)))
    return spec


def _keys() -> list[str]:
    return [name for name in ExperimentSpec.model_fields if name != "text"]


def _expanded(patterns: Sequence[str], key: str, document: Document) -> list[str]:
    try:
        return expand_images(patterns)
    except InputErrors as error:
        raise InputErrors([f"{document.where((key,))}: {line}" for line in error.lines]) from error


def _lines(error: ValidationError, document: Document) -> list[str]:
    lines = []
    for item in error.errors(include_url=False):
        path: YamlPath = tuple(item["loc"])
        where = document.where(path)
        dotted = ".".join(str(part) for part in path)
        if item["type"] == "extra_forbidden":
            message = unknown("key", str(path[-1]), _keys() if len(path) == 1 else ["parameters", "at"])
        elif item["type"] == "missing":
            message = f"missing key {dotted!r}"
        elif item["type"] == "value_error":
            message = str(item["ctx"]["error"])
        else:
            rule = item["msg"].replace("Input should", "must", 1)
            message = f"{dotted} {rule[0].lower()}{rule[1:]}, but got {str(item['input'])[:60]!r}"
        lines.append(f"{where}: {message}")
    return lines
