"""Measuring calibrations: curvatures, spreads of values, and errors of reconstructions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from restoration_core.calibration.calibration import KINDS, Calibration, Curve, Spread
from restoration_core.calibration.curvature import (
    Gradient,
    curvature_curve,
    draw_noise,
    feature_gradient,
    prior_gradient,
)
from restoration_core.calibration.level import local_rmse, reconstructions, rmse
from restoration_core.calibration.recipe import LEVELS, CalibrationRecipe, ErrorRun
from restoration_core.errors import InputError
from restoration_core.images import (
    PREFIX,
    folder_pictures,
    load_image,
    picture_reference,
    pixel_sha256,
    sample_names,
    to_uint8,
)
from restoration_core.networks import Classifier
from restoration_core.priors.controls import noise_matched
from restoration_core.priors.hand_crafted import TotalVariation
from restoration_core.priors.prior import Prior
from restoration_core.seeds import derive_seed

Progress = Callable[[str], None]
"""Called with a description of what is measured next."""

PIXELS_AT_ONCE = 8 * 224 * 224
"""How many pixels go through the network at once."""


@dataclass(frozen=True)
class Squares:
    """Square photographs of one size.

    Attributes:
        identity: ``sha256:`` and a hash over the hashes of their pixels, in order.
        pictures: ``(B, 3, size, size)``, float32, RGB in [0, 1].
    """

    identity: str
    pictures: Tensor


def load_squares(folder: Path | None, size: int, limit: int = 32) -> Squares:
    """Return the central squares of photographs.

    Args:
        folder: of pictures; None for the sample pictures that ship with the package.
        size: side in pixels.
        limit: how many at most; they are spread evenly over the folder in alphabetical order.

    Raises:
        InputError: no such folder, no picture in it, one that cannot be read, or a limit below 1.
    """
    if limit < 1:
        raise InputError(f"limit: limit >= 1 must hold, but got {limit}")
    samples = [PREFIX + name for name in sample_names()]
    references = samples if folder is None else list(map(picture_reference, folder_pictures(folder)))
    count = min(limit, len(references))
    arrays = [load_image(references[place * len(references) // count], size) for place in range(count)]
    whole = hashlib.sha256("\n".join(pixel_sha256(to_uint8(array)) for array in arrays).encode()).hexdigest()
    return Squares(f"sha256:{whole}", torch.stack([torch.from_numpy(array) for array in arrays]))


class Calibrator:
    """Measures priors against the features of one layer. What does not depend on the prior is measured only once.

    Args:
        classifier: the network.
        layer: matched layer.
        squares: photographs.
        noise, levels, draws, seed, error_run: see :class:`CalibrationRecipe`.
        progress: see :data:`Progress`.

    Raises:
        InputErrors: settings out of range.
        InputError: an unknown layer, or one that does not take pictures of this size.
    """

    def __init__(
        self,
        classifier: Classifier,
        layer: str,
        squares: Squares,
        *,
        noise: str = "white",
        levels: tuple[float, ...] = LEVELS,
        draws: int = 2,
        seed: int = 0,
        error_run: ErrorRun | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._classifier = classifier
        self._layer = classifier.resolve(layer)
        self._pictures = squares.pictures.to(classifier.device, classifier.dtype)
        self._size = squares.pictures.shape[-1]
        self._identity = squares.identity
        self._noise, self._levels, self._draws, self._seed = noise, levels, draws, seed
        self._error_run = ErrorRun() if error_run is None else error_run
        self._progress = progress
        classifier.shape(self._layer, self._size)
        self.recipe("", None)  # raises for settings out of range, before anything is measured

    def recipe(self, prior_key: str, layer: str | None) -> CalibrationRecipe:
        """Return the recipe of what :meth:`calibrate` would measure, to look it up first.

        Args:
            prior_key: key of a trained prior, or :func:`hand_crafted_key`.
            layer: the layer the prior acts on; None for the picture.
        """
        return CalibrationRecipe(
            weights_id=self._classifier.weights_id,
            match_layer=self._layer,
            prior=prior_key,
            prior_layer=None if layer is None else self._classifier.resolve(layer),
            size=self._size,
            pictures=self._identity,
            noise=self._noise,
            levels=self._levels,
            draws=self._draws,
            seed=self._seed,
            error_run=self._error_run,
        )

    def calibrate(self, prior: Prior, prior_key: str, layer: str | None = None, name: str | None = None) -> Calibration:
        """Return the calibration of a prior.

        Args:
            prior: an energy, or the residual of a denoiser.
            prior_key, layer: see :meth:`recipe`.
            name: of the prior, in messages and pictures; by default its key.

        Raises:
            InputError: a prior that does not take the pictures or the map.
        """
        recipe = self.recipe(prior_key, layer)
        shape = (3, self._size, self._size) if recipe.prior_layer is None else self._map_shape(recipe.prior_layer)
        prior.check(shape)
        moved = prior.to(self._classifier.device, self._classifier.dtype)
        level, features = self.level, self._features
        self._tell(f"curvature of {name or prior_key}")
        gradient = prior_gradient(moved, recipe.prior_layer, self._classifier)
        curve = self._curve(lambda rows: gradient)
        self._tell(f"spread of {name or prior_key}")
        energies: dict[str, Spread] = {}
        norms: dict[str, Spread] = {}
        for kind in KINDS:
            pictures = self._kind(kind)
            parts = [pictures[rows] for rows in self._chunks()]
            norms[kind] = Spread.of([v for part in parts for v in gradient(part).flatten(1).norm(dim=1).tolist()])
            if prior.has_energy:
                maps = (self._map(part, recipe.prior_layer) for part in parts)
                energies[kind] = Spread.of([value for map_ in maps for value in moved.energy(map_).tolist()])
        return Calibration(recipe, level, self.error, features, curve, energies, norms, name or prior_key)

    @cached_property
    def error(self) -> float:
        """r: RMSE of reconstructions from the features alone, at least the lowest level.

        Raises:
            InputError: a reconstruction that did not stay finite.
        """
        self._tell(f"error of reconstructions from {self._layer} alone")
        error = rmse(self._restored(0.0), self._pictures[: self._error_run.photographs])
        return max(error, self._levels[0])

    @cached_property
    def level(self) -> float:
        """s: the noise level that the error run asks for, clipped to the levels.

        Raises:
            InputError: a reconstruction that did not stay finite.
        """
        start = self._error_run.start_level
        level = self.error
        if self._error_run.level == "local":
            pull = self._curve(lambda rows: TotalVariation(2.0).gradient)  # its curvature is the same at every level
            self._tell(f"error of reconstructions from {self._layer} with total variation")
            restored = self._restored(self._features.at(start) / pull.at(start))
            level = local_rmse(restored, self._pictures[: len(restored)])
        return min(max(level, self._levels[0]), self._levels[-1])

    def _restored(self, tv_weight: float) -> Tensor:
        originals = self._pictures[: self._error_run.photographs]
        return reconstructions(self._classifier, self._layer, originals, tv_weight, self._error_run, self._seed)

    @cached_property
    def _features(self) -> Curve:
        self._tell(f"curvature of the features of {self._layer}")
        return self._curve(lambda rows: feature_gradient(self._classifier, self._layer, self._pictures[rows]))

    def _curve(self, gradient_of: Callable[[slice], Gradient]) -> Curve:
        """Return the mean curve over photographs and draws of noise."""
        curves = []
        for draw in range(self._draws):
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "noise", draw))
            noise = draw_noise(self._noise, self._pictures, generator)
            for rows in self._chunks():
                curves.append(curvature_curve(gradient_of(rows), self._pictures[rows], noise[rows], self._levels))
        return Curve(self._levels, tuple(torch.cat(curves, dim=1).mean(dim=1).tolist()))

    def _kind(self, kind: str) -> Tensor:
        """Return pictures of one of the :data:`KINDS`."""
        if kind == "natural":
            return self._pictures
        generator = torch.Generator().manual_seed(derive_seed(self._seed, kind))
        if kind == "noisy":
            return self._pictures + self.level * draw_noise("white", self._pictures, generator)
        return torch.stack([noise_matched(picture.cpu(), generator) for picture in self._pictures]).to(self._pictures)

    def _chunks(self) -> Iterator[slice]:
        together = max(1, PIXELS_AT_ONCE // self._size**2)
        for first in range(0, len(self._pictures), together):
            yield slice(first, first + together)

    def _map(self, pictures: Tensor, layer: str | None) -> Tensor:
        if layer is None:
            return pictures
        with torch.no_grad():
            return self._classifier.features(pictures, [layer])[layer]

    def _map_shape(self, layer: str) -> tuple[int, ...]:
        return self._classifier.shape(layer, self._size)

    def _tell(self, what: str) -> None:
        if self._progress is not None:
            self._progress(what)
