"""The trained priors a sweep needs: trained once before it starts, kept in the store, built again from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.priors import PriorLibrary, PriorRecipe, Trained
from restoration_core.priors.library import from_blob
from sweeps.priors.recipes import recipe_of, training_maps
from sweeps.priors.reference import PriorReference
from sweeps.priors.required import priors_needed
from sweeps.spec.models import SweepSpec
from sweeps.store.writer import Writer

Notice = Callable[[str], None]
Priors = Mapping[PriorReference, Trained]


def train_missing(
    spec: SweepSpec, classifier: Classifier, writer: Writer, notice: Notice
) -> tuple[dict[PriorReference, Trained], dict[str, str]]:
    """Return the sweep's priors, trained where the library has none, and keep them in the store.

    Args:
        spec: of the sweep.
        classifier: whose maps priors on maps learn from.
        writer: of the store.
        notice: called with a line now and then while a prior is trained.

    Returns:
        priors by reference; their keys in the store by the references' names, which go into the sweep's row.

    Raises:
        InputError: a prior that cannot be trained, or a named one that is not there or learned elsewhere.
    """
    library = PriorLibrary()
    priors, keys = {}, {}
    recipes = [(reference, recipe_of(reference, classifier, library)) for reference in priors_needed(spec, classifier)]
    for reference, recipe in recipes:
        told = _Told(f"training the {_in_words(reference, recipe)}, once", notice)
        library.get(recipe, training_maps(recipe, classifier), progress=told)
        blob = library.blob(recipe.key)
        priors[reference] = from_blob(blob, f"prior {recipe.key} of the library")
        keys[str(reference)] = recipe.key
        if writer.get_prior(recipe.key) is None:
            entry = library.entry(recipe.key)
            writer.put_prior(recipe.key, recipe.family, _description(reference, entry.name, entry.description), blob)
    return priors, keys


def stored_priors(
    spec: SweepSpec, classifier: Classifier, writer: Writer, keys: Mapping[str, str]
) -> dict[PriorReference, Trained]:
    """Return a sweep's priors from the store.

    Args:
        spec, classifier: of the sweep.
        writer: of the store.
        keys: as :func:`train_missing` returned them.

    Raises:
        InputError: the store has lost one.
    """
    priors = {}
    for reference in priors_needed(spec, classifier):
        key = keys.get(str(reference), "")
        blob = writer.get_prior(key)
        if blob is None:
            raise InputError(f"the store no longer has the prior {reference} (key {key}); run the sweep anew")
        priors[reference] = from_blob(blob, f"prior {key} of the store")
    return priors


class _Told:
    """Takes every report of a training and passes on a line at its start and after each quarter."""

    def __init__(self, what: str, notice: Notice) -> None:
        self._what, self._notice = what, notice
        self._quarter = -1

    def __call__(self, step: int, steps: int, loss: float) -> None:
        quarter = 4 * step // steps
        if quarter > self._quarter:
            self._quarter = quarter
            self._notice(f"{self._what}: {step / steps:.0%}, held-out loss {loss:.4g}")


def _in_words(reference: PriorReference, recipe: PriorRecipe) -> str:
    if reference.patch_size is None:
        return f"{reference.expert} prior{_place(reference)} ({recipe.title})"
    size = f"{reference.patch_size} x {reference.patch_size}"
    bank = "" if reference.bank == "full" else f" {reference.bank}"
    return f"{reference.expert} prior for {size}{bank} patches{_place(reference)}"


def _place(reference: PriorReference) -> str:
    return "" if reference.layer is None else f" on {reference.layer}"


def _description(reference: PriorReference, name: str, sentence: str) -> dict[str, Any]:
    plain = {"expert": reference.expert, "patch_size": reference.patch_size, "layer": reference.layer}
    return {"name": name, "description": sentence} | {key: value for key, value in plain.items() if value}
