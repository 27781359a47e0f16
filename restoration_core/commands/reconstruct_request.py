"""What ``restoration reconstruct`` was asked for, checked: pictures, layers, and a preset for each layer."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from restoration_core.commands.prior_terms import CALIBRATED, calibrate_terms, given_terms, with_stride
from restoration_core.errors import InputError, InputErrors, unknown
from restoration_core.images import PREFIX, expand_images, folder_pictures, load_image, picture_reference, short_side
from restoration_core.metrics import WINDOW
from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import Preset, make_problem, open_preset
from restoration_core.paths import reason, shown, user_path
from restoration_core.priors.library import PriorLibrary
from restoration_core.reconstruction import LBFGS, Problem, Schedule, check_problem
from restoration_core.reconstruction.optimizers import RULES

ALL = "all"
LBFGS_FIRST_STEP = 0.05
"""Largest change of a pixel that the first step of L-BFGS tries, where none is given."""


@dataclass(frozen=True)
class Request:
    """The options of the command, by their names; None where a default depends on something else."""

    network: str
    weights: str | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    native_size: int | None
    layer: tuple[str, ...]
    layers: str | None
    size: int | None
    preset: str
    prior: tuple[str, ...]
    weight: tuple[float, ...]
    units: str
    patch_stride: int | None
    iterations: int | None
    learning_rate: float | None
    optimizer: str | None
    momentum: float | None
    jitter: int | None
    no_bound: bool
    restarts: int
    gap: bool
    animate: str | None
    frames: int
    seed: int
    device: str


@dataclass(frozen=True)
class LayerPlan:
    """How pictures are reconstructed from one layer.

    Attributes:
        layer: the layer's own name.
        preset: settings with the user's changes, weights raw.
        calibrated: weight in calibrated units by term, of the terms that were given so.
    """

    layer: str
    preset: Preset
    calibrated: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """A request that can be carried out.

    Attributes:
        request: the options.
        classifier: on the device.
        size: side of the pictures in pixels.
        references: of the pictures, as users see them.
        originals: ``(3, size, size)`` each, RGB in [0, 1].
        layers: from the first to the deepest.
        refused: layers left out, with the reason.
    """

    request: Request
    classifier: Classifier
    size: int
    references: tuple[str, ...]
    originals: tuple[Tensor, ...]
    layers: tuple[LayerPlan, ...]
    refused: dict[str, str]

    def problem(self, plan: LayerPlan, original: Tensor) -> Problem:
        """Return the checked problem of one picture and layer.

        Raises:
            InputErrors: one line per fault.
        """
        problem = make_problem(self.classifier, original, plan.layer, plan.preset, seed=self.request.seed)
        check_problem(problem, self.classifier, self.size)
        return problem


def make_plan(images: Sequence[str], request: Request, notice: Callable[[str], None]) -> Plan:
    """Return what the command will do; nothing is solved or written.

    Args:
        images: paths, globs, folders, ``sample:NAME``.
        request: options.
        notice: told in words of long work (calibrations that must be measured).

    Raises:
        InputError, InputErrors: whatever is wrong.
    """
    if request.units == CALIBRATED and not request.prior:
        raise InputError(
            f"--units {CALIBRATED}: is for the weights of --prior, and none is given; valid: with --prior and --weight"
        )
    references = _expand(images)
    _check_device(request.device)
    own = {"mean": request.mean, "std": request.std, "size": request.native_size}
    opened = open_network(request.network, request.weights, request.seed, **own)  # type: ignore[arg-type]
    for line in opened.notes:
        notice(line)
    classifier = opened.to(request.device, torch.float32)
    side = classifier.native_size if request.size is None else request.size
    if side < WINDOW:
        raise InputError(f"--size {side}: too small to be scored; valid: {WINDOW} and more (the window of SSIM)")
    layers = _layers(request, classifier)
    originals = tuple(torch.from_numpy(load_image(reference, side)) for reference in references)
    largest = max(map(short_side, references))
    if request.size is None and largest > side:
        what = "the picture is" if len(references) == 1 else "pictures are"
        notice(f"{what} shrunk from {largest} to {side} px, the size of {classifier.name}; --size N sets another")
    plan = Plan(request, classifier, side, tuple(references), originals, (), {})
    found, refused, faults = [], {}, []
    for layer in layers:
        try:
            classifier.shape(layer, side)
            found.append(_layer_plan(request, classifier, layer, side, notice))
            plan.problem(found[-1], originals[0])
        except InputError as error:
            found = [each for each in found if each.layer != layer]
            refused[layer] = str(error)
            faults.append(error)
    if not found:
        raise faults[0]
    return replace(plan, layers=tuple(found), refused=refused)


def check_output(out: Path) -> None:
    """Fail before the optimisation rather than after it; nothing is made yet."""
    if os.path.exists(out) and not os.path.isdir(out):
        raise InputError(f"--out {shown(out)}: is a file; valid: a folder, made when it is missing")
    try:
        os.stat(out)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a name that is too long, links in a circle
        raise InputError(f"--out {shown(out)}: cannot be used ({reason(error)}); valid: a folder") from error
    above = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"--out {shown(out)}: {shown(above)} cannot be written; valid: a folder in one that can")


def _expand(images: Sequence[str]) -> list[str]:
    """Return one reference per picture; a folder stands for the pictures directly in it."""
    references: list[str] = []
    for image in images:
        folder = user_path(image)
        if image and os.path.isdir(folder) and not image.startswith(PREFIX):
            references += map(picture_reference, folder_pictures(folder))
        else:
            references.append(image)
    return expand_images(references)


def _check_device(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {device}: cannot be used here; valid: cpu, or cuda where there is a GPU") from error


def _layers(request: Request, classifier: Classifier) -> list[str]:
    """Return the layers' own names in the order of the forward pass, each once."""
    named = [classifier.resolve(layer) for layer in request.layer]
    if request.layers is not None:
        pattern = "*" if request.layers == ALL else request.layers
        matching = [layer for layer in classifier.layers if fnmatch.fnmatchcase(layer, pattern)]
        if not matching:
            raise InputError(
                f"--layers {pattern}: no layer of {classifier.name} fits; valid: {ALL}, or a pattern over"
                f" {', '.join(classifier.layers)}"
            )
        named += matching
    if not named:
        raise InputError(f"no layer is given; valid: --layers {ALL}, or --layer of {', '.join(classifier.layers)}")
    return sorted(dict.fromkeys(named), key=classifier.depth)


def _layer_plan(
    request: Request, classifier: Classifier, layer: str, size: int, notice: Callable[[str], None]
) -> LayerPlan:
    preset = open_preset(request.preset, classifier, layer)
    if request.iterations is not None:
        preset = preset.with_iterations(request.iterations)
    preset = _with_steps(preset, request)
    if request.jitter is not None:
        preset = replace(preset, jitter=request.jitter)
    if request.no_bound:
        preset = replace(preset, bound=None)
    _check_line_search(preset)
    library = PriorLibrary()
    given = given_terms(request.prior, request.weight, classifier, library)
    terms, calibrated = tuple(each.term for each in given), {}
    if request.units == CALIBRATED:
        calibrated = {term.name: term.weight for term in terms}
        terms = calibrate_terms(given, classifier, layer, size, library, notice)
    added = {term.name for term in terms}
    every = (*(term for term in preset.terms if term.name not in added), *terms)
    if request.patch_stride is not None:
        every = tuple(with_stride(term, request.patch_stride) for term in every)
    return LayerPlan(layer, replace(preset, terms=every), calibrated)


def _check_line_search(preset: Preset) -> None:
    """Say in the command's words what of the preset L-BFGS cannot take; the solver would say it in its own."""
    if preset.optimizer != LBFGS:
        return
    faults = []
    if preset.jitter > 1:
        faults.append(f"--optimizer {LBFGS}: takes no jitter, which preset {preset.name} has; valid: with --jitter 1")
    if preset.bound is not None:
        faults.append(f"--optimizer {LBFGS}: takes no bound, which preset {preset.name} has; valid: with --no-bound")
    if faults:
        raise InputErrors(faults)


def _with_steps(preset: Preset, request: Request) -> Preset:
    """Return the preset with the optimizer and the learning rate that were asked for."""
    optimizer = request.optimizer
    if optimizer is not None and optimizer not in (*RULES, LBFGS):
        raise InputError(unknown("optimizer", optimizer, [*RULES, LBFGS]))
    if optimizer is not None and optimizer != preset.optimizer:
        if request.learning_rate is None and optimizer != LBFGS:
            raise InputError(
                f"--optimizer {optimizer}: the learning rate of preset {preset.name} is for {preset.optimizer}; valid:"
                " with --learning-rate"
            )
        preset = replace(preset, optimizer=optimizer)
        if optimizer == LBFGS:
            preset = replace(preset, learning_rate=Schedule.constant(LBFGS_FIRST_STEP), rate_per_pixel=False)
    if request.momentum is not None:
        preset = replace(preset, momentum=request.momentum)
    return preset if request.learning_rate is None else preset.with_rate(request.learning_rate)
