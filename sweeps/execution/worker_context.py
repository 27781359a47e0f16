"""What a process needs to solve a sweep's trials: network, pictures, priors. Built by the driver, sent to workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.priors import Trained
from restoration_core.reconstruction import Problem, keep_freed_memory
from sweeps.priors.reference import PriorReference
from sweeps.priors.units import RawPerUnit
from sweeps.spec.models import SweepSpec
from sweeps.trial.problems import build_problems
from sweeps.trial.raw_parameters import raw_parameters


@dataclass
class PackContext:
    """Everything but the trials. Plain objects, so that a worker needs no file, no network access and no store.

    Attributes:
        spec: the sweep.
        classifier: on the CPU until :meth:`on` moves it.
        images: originals by name, ``(3, S, S)``, RGB in [0, 1].
        priors: trained priors by what parameters call them.
        units: raw weights of calibrated weights of 1, for a sweep in calibrated units.
        device: where packs compute.
        threads: of PyTorch's own, per process.
    """

    spec: SweepSpec
    classifier: Classifier
    images: Mapping[str, Tensor]
    priors: Mapping[PriorReference, Trained] = field(default_factory=dict)
    units: RawPerUnit = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    _features: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def on(self, device: str) -> PackContext:
        """Return this context with network and priors on ``device``; set this process's threads and allocator."""
        torch.set_num_threads(self.threads)
        if device == "cpu":
            keep_freed_memory()
        dtype = torch.float32
        priors = {key: replace(item, prior=item.prior.to(device, dtype)) for key, item in self.priors.items()}
        classifier = self.classifier.to(device, dtype)
        return PackContext(self.spec, classifier, self.images, priors, self.units, device, self.threads)

    def prior(self, reference: PriorReference) -> Trained:
        """Return a trained prior.

        Raises:
            InputError: it was not trained before the sweep.
        """
        found = self.priors.get(reference)
        if found is None:
            have = ", ".join(sorted(map(str, self.priors))) or "none"
            raise InputError(f"no trained prior {reference}; there are: {have}")
        return found

    def features(self, layers: Iterable[str]) -> Mapping[str, Tensor]:
        """Return the originals' feature maps, layer -> ``(images, ...)`` in the order of ``images``; computed once."""
        missing = [layer for layer in layers if layer not in self._features]
        if missing:
            x = torch.stack(list(self.images.values())).to(self.device)
            # A batch of one may differ from the same row in a larger batch in the last bit, so it is never run.
            padded = x if len(x) > 1 else torch.cat([x, x])
            with torch.no_grad():
                found = self.classifier.features(padded, missing)
            self._features.update({layer: maps[: len(x)] for layer, maps in found.items()})
        return {layer: self._features[layer] for layer in layers}

    def raw_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that decides a trial's problems but its seed; see :mod:`sweeps.trial.raw_parameters`.

        Raises:
            InputError: the parameters ask for something that there is not.
        """
        return raw_parameters(self.spec, parameters, self.classifier, self.units)

    def problems(self, raw: Mapping[str, Any], seed: int) -> dict[str, Problem]:
        """Return a trial's problems by picture.

        Args:
            raw: what :meth:`raw_parameters` gave.
            seed: of the trial.

        Raises:
            InputError: the parameters ask for a prior that there is not.
        """
        maps = self.features(self.spec.layers)
        targets = {
            image: {layer: maps[layer][index] for layer in self.spec.layers} for index, image in enumerate(self.images)
        }
        built = build_problems(self.spec, raw, self.classifier, list(self.images.items()), seed, self.prior, targets)
        return dict(zip(self.images, built, strict=True))


def held_out_layers(classifier: Classifier, matched: Iterable[str], size: int) -> tuple[str, ...]:
    """Return two layers to judge a reconstruction at that it was not fitted to: one before, one behind the matched.

    Halfway (in forward order) to the input from the shallowest matched layer, and to the last layer that takes pictures
    of this size from the deepest; fewer where there is none.
    """
    depths = sorted(classifier.depth(layer) for layer in matched)
    native = classifier.native_size
    # Layers without a spatial extent take one size only; asking the others one by one costs forward passes.
    maps = [layer for layer in classifier.layers if size == native or len(classifier.shape(layer, native)) == 3]
    before = [layer for layer in maps if classifier.depth(layer) < depths[0]]
    behind = [layer for layer in maps if classifier.depth(layer) > depths[-1]]
    chosen = [layers[len(layers) // 2] for layers in (before, behind) if layers]
    return tuple(layer for layer in chosen if _fits(classifier, layer, size))


def _fits(classifier: Classifier, layer: str, size: int) -> bool:
    try:
        classifier.shape(layer, size)
    except InputError:
        return False
    return True
