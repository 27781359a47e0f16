"""A sweep's priors: trained once with word of it, kept in the store, read back from there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import open_network
from restoration_core.priors import Recipe
from sweeps.priors import recipes
from sweeps.priors.reference import PriorReference
from sweeps.priors.training import stored_priors, train_missing
from sweeps.store import open_writer
from tests.sweeps.sweeps_in_store import make_spec, store

SIZE = 4


def small(expert: str, patch_size: int) -> Recipe:
    return Recipe(expert=expert, patch_size=patch_size, experts=8, patches=2000, iterations=200)


def test_a_missing_prior_is_trained_once_with_word_of_it_and_kept_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTORATION_PRIORS", str(tmp_path / "priors"))
    monkeypatch.setattr(recipes, "default_recipe", small)
    parameters = {"priors.image.weight": {"value": 0.1}, "priors.image.patch_size": {"value": SIZE}}
    spec = make_spec(parameters=parameters)
    lines: list[str] = []
    with open_writer(store(tmp_path)) as writer:
        classifier = open_network("cifar_alexnet", "random")
        priors, keys = train_missing(spec, classifier, writer, lines.append)
        reference = PriorReference(None, "student_t", SIZE)
        assert list(priors) == [reference]
        assert list(keys) == ["student_t-4"]
        assert lines[0].startswith(f"training the student_t prior for {SIZE} x {SIZE} patches, once: ")
        assert 2 <= len(lines) <= 5
        train_missing(spec, classifier, writer, lines.append)
        assert len(lines) <= 5, "it was there already"
        x = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
        again = stored_priors(spec, classifier, writer, keys)[reference].prior
        torch.testing.assert_close(again.energy(x), priors[reference].prior.energy(x), rtol=0, atol=0)
        with pytest.raises(InputError, match="no longer has the prior student_t-4"):
            stored_priors(spec, classifier, writer, {"student_t-4": "0" * 16})
