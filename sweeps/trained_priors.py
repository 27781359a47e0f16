"""The patch priors a sweep needs: trained once before it starts, kept in the store, built again from there."""

from __future__ import annotations

from collections.abc import Mapping

from restoration_core.errors import InputError
from restoration_core.priors.blobs import from_blob
from restoration_core.priors.patch_experts import PatchExperts
from restoration_core.priors.prior_library import PriorLibrary
from restoration_core.priors.recipe import default_recipe
from sweeps.context import PriorKey
from sweeps.problems import priors_needed
from sweeps.spec_models import SweepSpec
from sweeps.store.writer import Writer


def train_missing(spec: SweepSpec, writer: Writer) -> tuple[dict[PriorKey, PatchExperts], dict[str, str]]:
    """Return the sweep's priors, trained where the library has none, and keep them in the store.

    Returns:
        priors by (expert, patch size); their keys in the store by ``expert-size``, which go into the sweep's row.
    """
    library = PriorLibrary()
    priors, keys = {}, {}
    for expert, size in priors_needed(spec):
        recipe = default_recipe(expert, size)
        priors[expert, size] = library.get(recipe)
        keys[f"{expert}-{size}"] = recipe.key
        if writer.get_prior(recipe.key) is None:
            entry = library.entry(recipe.key)
            description = {"name": entry.name, "description": entry.description, "expert": expert, "patch_size": size}
            writer.put_prior(recipe.key, "patch_experts", description, library.blob(recipe.key))
    return priors, keys


def stored_priors(writer: Writer, keys: Mapping[str, str]) -> dict[PriorKey, PatchExperts]:
    """Return a sweep's priors from the store.

    Args:
        keys: as :func:`train_missing` returned them.

    Raises:
        InputError: the store has lost one.
    """
    priors = {}
    for name, key in keys.items():
        blob = writer.get_prior(key)
        if blob is None:
            raise InputError(f"the store no longer has the prior {name} (key {key}); run the sweep anew")
        expert, _, size = name.rpartition("-")
        priors[expert, int(size)] = from_blob(blob, f"prior {key} of the store").prior
    return priors
