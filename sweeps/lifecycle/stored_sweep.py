"""A sweep as it stands in the store, made ready to run, resume, replay or judge."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from sweeps.execution.worker_context import PackContext
from sweeps.priors.calibration import Keys, stored_units
from sweeps.priors.training import stored_priors
from sweeps.spec.models import SweepSpec
from sweeps.spec.stored import stored_spec
from sweeps.store.reader import open_reader
from sweeps.store.views import SweepView
from sweeps.store.writer import Writer
from sweeps.trial.pictures import decode

SEARCH, VALIDATION = "search", "validation"
_PACKAGES = ("deep-restoration", "torch", "torchvision", "ray", "optuna", "mlflow", "sqlalchemy", "numpy")


def versions(classifier: Classifier, prior_keys: Mapping[str, str], calibration_keys: Keys) -> dict[str, Any]:
    """Return what a sweep's results depend on: packages, platform, network weights, trained priors, calibrations."""
    found: dict[str, Any] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    kept = {"priors": dict(prior_keys), "calibrations": {name: dict(keys) for name, keys in calibration_keys.items()}}
    return found | {"weights_id": classifier.weights_id} | kept


def open_classifier(spec: SweepSpec) -> Classifier:
    """Return the sweep's network with its weights."""
    return open_network(spec.network.name, spec.network.weights or None, spec.network.seed, **spec.network.options)


def view_sweep(store_url: str, name: str) -> SweepView:
    """Return the sweep's row and its pictures' names.

    Raises:
        InputError: no such store or sweep.
    """
    reader = open_reader(store_url)
    try:
        return reader.sweep(name)
    finally:
        reader.close()


def stored_context(store_url: str, writer: Writer, view: SweepView, split: str = SEARCH) -> PackContext:
    """Return the context of a stored sweep: pictures and priors from the store, the network by its name.

    Raises:
        InputError: the network's weights here are not the ones the sweep was started with, or the store lost something.
    """
    spec = stored_spec(view.name, view.spec)
    classifier = open_classifier(spec)
    wanted = view.versions.get("weights_id")
    if wanted not in (None, classifier.weights_id):
        raise InputError(
            f"sweep {view.name!r} was started with weights {wanted} of {spec.network.name}, but here "
            f"{spec.network.weights!r} are {classifier.weights_id}; provide the same weights"
        )
    images = stored_pictures(store_url, view, split)
    priors = stored_priors(spec, classifier, writer, view.versions.get("priors", {}))
    units = stored_units(spec, writer, view.versions.get("calibrations", {}))
    return PackContext(spec, classifier, images, priors, units, threads=spec.resources.threads)


def stored_pictures(store_url: str, view: SweepView, split: str) -> dict[str, Tensor]:
    """Return the sweep's originals by name, in the order of the spec."""
    spec = stored_spec(view.name, view.spec)
    order = spec.images if split == SEARCH else spec.validate_on
    hashes = {item.image: item.sha256 for item in view.images if item.split == split}
    reader = open_reader(store_url)
    try:
        return {image: decode(reader.picture(hashes[image])) for image in order}
    finally:
        reader.close()
