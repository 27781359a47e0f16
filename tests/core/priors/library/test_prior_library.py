"""The prior library: bundled priors by recipe, trained once and kept, read back the same, damage told."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.priors.library import prior_library as module
from restoration_core.priors.library.blobs import from_blob, to_blob
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.patch_experts.default_recipes import default_recipe, thesis_recipe
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.training import train_patch_experts
from restoration_core.priors.training.family import Trained

SMALL = Recipe("student_t", 3, 10, patches=600, iterations=8, batch=64, short_side=24, pictures="sha256:noise")


def noise() -> Photographs:
    return Photographs("sha256:noise", (torch.rand(3, 40, 40, generator=torch.Generator().manual_seed(0)),))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train_patch_experts(SMALL, noise())


@pytest.mark.parametrize("expert", ["logistic", "student_t"])
def test_eight_by_eight_is_bundled_and_trains_nothing(expert: str, tmp_path: Path) -> None:
    root = tmp_path / "none"
    for recipe, experts in ((default_recipe(expert, 8), 256), (thesis_recipe(expert), 512)):
        prior = PriorLibrary(root).get(recipe)
        assert isinstance(prior, PatchExperts)
        assert (len(prior.filters), prior.channels, prior.patch_size, prior.expert.name) == (experts, 3, 8, expert)
    assert not root.exists()


def test_missing_prior_is_trained_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = PriorLibrary(tmp_path).get(SMALL, noise)
    monkeypatch.setattr(module, "family_by_name", lambda _: pytest.fail("trained a second time"))
    second = PriorLibrary(tmp_path).get(SMALL, noise)
    assert torch.equal(first.filters, second.filters)
    assert torch.equal(first.alphas, second.alphas)
    assert torch.equal(first.bias, second.bias)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == [f"{SMALL.key}.safetensors"]
    assert not list(tmp_path.glob("*.part"))


def _get(root: Path, log: Path) -> None:
    def told() -> Photographs:
        with log.open("a") as file:
            file.write("trained\n")
        return noise()

    PriorLibrary(root).get(dataclasses.replace(SMALL, iterations=300), told)


@pytest.mark.slow
def test_two_processes_that_want_the_same_prior_train_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_get, args=(tmp_path / "library", tmp_path / "log")) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert worker.exitcode == 0
    assert (tmp_path / "log").read_text() == "trained\n"


def test_photographs_that_are_not_given_are_asked_for_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be trained, on photographs sha256:noise that were not given"):
        PriorLibrary(tmp_path).get(SMALL)
    assert list(tmp_path.iterdir()) == []


def test_other_photographs_than_the_recipe_names_are_refused(tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, pictures="sha256:others")
    with pytest.raises(InputError, match="sha256:others is needed by the recipe, but got sha256:noise"):
        PriorLibrary(tmp_path).get(recipe, noise)


def test_blob_travels_to_another_library(tmp_path: Path, trained: Trained) -> None:
    home, away = PriorLibrary(tmp_path / "home"), PriorLibrary(tmp_path / "away")
    key = home.add(to_blob(trained, "noise"))
    assert key == SMALL.key == PriorLibrary.key(SMALL)
    assert away.add(home.blob(key)) == key
    assert torch.equal(away.load(key).filters, trained.prior.filters)
    assert away.entry(key).description == "noise"


def test_list_and_find_show_bundled_priors_first(tmp_path: Path, trained: Trained) -> None:
    library = PriorLibrary(tmp_path)
    library.add(to_blob(trained))
    (tmp_path / "rubbish.safetensors").write_bytes(b"not a prior")
    names = [(entry.name, entry.bundled) for entry in library.list()]
    assert {("logistic-8x8-512", True), ("student_t-8x8-512", True)} <= set(names[:-1])
    assert all(bundled for _, bundled in names[:-1])
    assert names[-1] == ("student_t-3x3-10", False)
    assert [entry.key for entry in library.find("student_t", 3)] == [SMALL.key]
    assert library.find("student_t", 9) == ()


def test_entry_is_found_by_key_start_of_key_and_name(tmp_path: Path, trained: Trained) -> None:
    library = PriorLibrary(tmp_path)
    key = library.add(to_blob(trained))
    for name in (key, key[:8], "student_t-3x3-10"):
        assert library.entry(name).key == key


def test_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown prior 'logistc-8x8-512'; did you mean 'logistic-8x8-512'"):
        PriorLibrary(tmp_path).load("logistc-8x8-512")


def test_name_that_fits_several_is_refused_with_their_keys(tmp_path: Path, trained: Trained) -> None:
    library = PriorLibrary(tmp_path)
    other = dataclasses.replace(trained, recipe=dataclasses.replace(SMALL, seed=1))
    keys = {library.add(to_blob(trained)), library.add(to_blob(other))}
    with pytest.raises(InputError, match="fits several priors; valid: a key of") as caught:
        library.entry("student_t-3x3-10")
    assert all(key in str(caught.value) for key in keys)


def test_environment_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTORATION_PRIORS", str(tmp_path / "shelf"))
    assert PriorLibrary().root == tmp_path / "shelf"
    monkeypatch.delenv("RESTORATION_PRIORS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert PriorLibrary().root == tmp_path / "deep-restoration" / "priors"


@pytest.mark.parametrize("keep", [0, 5, 40, 1200, -100], ids=lambda keep: f"first-{keep}-bytes")
def test_file_that_was_cut_off_is_told_as_damaged(keep: int, trained: Trained) -> None:
    with pytest.raises(InputError, match=r"cut\.safetensors: no trained prior \(.*valid: a file that `prior train`"):
        from_blob(to_blob(trained)[:keep], "cut.safetensors")


def test_recipe_that_was_changed_by_hand_is_refused(trained: Trained) -> None:
    blob = to_blob(trained)
    forged = blob.replace(b'\\"seed\\":0', b'\\"seed\\":7')
    assert forged != blob
    with pytest.raises(InputError, match=f"key {SMALL.key} but a recipe with key"):
        from_blob(forged)


def test_report_survives_the_file(trained: Trained) -> None:
    assert from_blob(to_blob(trained)).report == trained.report
