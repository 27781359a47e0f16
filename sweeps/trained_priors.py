"""The patch priors a sweep needs: trained once before it starts, kept in the store, built again from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from restoration_core.errors import InputError
from restoration_core.priors.blobs import from_blob
from restoration_core.priors.prior import Prior
from restoration_core.priors.prior_library import PriorLibrary
from restoration_core.priors.recipe import default_recipe
from sweeps.context import PriorKey
from sweeps.problems import priors_needed
from sweeps.spec_models import SweepSpec
from sweeps.store.writer import Writer

Notice = Callable[[str], None]


def train_missing(spec: SweepSpec, writer: Writer, notice: Notice) -> tuple[dict[PriorKey, Prior], dict[str, str]]:
    """Return the sweep's priors, trained where the library has none, and keep them in the store.

    Args:
        notice: called with a line now and then while a prior is trained.

    Returns:
        priors by (expert, patch size); their keys in the store by ``expert-size``, which go into the sweep's row.
    """
    library = PriorLibrary()
    priors, keys = {}, {}
    for expert, size in priors_needed(spec):
        recipe = default_recipe(expert, size)
        told = _Told(f"training the {expert} prior for {size} x {size} patches, once", notice)
        priors[expert, size] = library.get(recipe, progress=told)
        keys[f"{expert}-{size}"] = recipe.key
        if writer.get_prior(recipe.key) is None:
            entry = library.entry(recipe.key)
            description = {"name": entry.name, "description": entry.description, "expert": expert, "patch_size": size}
            writer.put_prior(recipe.key, "patch_experts", description, library.blob(recipe.key))
    return priors, keys


class _Told:
    """Turns training's many reports into a line at its start and every quarter."""

    def __init__(self, what: str, notice: Notice) -> None:
        self._what, self._notice = what, notice
        self._quarter = -1

    def __call__(self, step: int, steps: int, loss: float) -> None:
        quarter = 4 * step // steps
        if quarter > self._quarter:
            self._quarter = quarter
            self._notice(f"{self._what}: {step / steps:.0%}, held-out loss {loss:.4g}")


def stored_priors(writer: Writer, keys: Mapping[str, str]) -> dict[PriorKey, Prior]:
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
