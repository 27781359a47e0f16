"""An experiment's file: every fault in one line, equal search for every arm, no photograph searched and tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from restoration_core.errors import InputErrors
from restoration_core.images.samples import sample_path
from sweeps.experiment.cells import MIDDLE, Cell, cells, sweep_of
from sweeps.experiment.models import ExperimentSpec
from sweeps.experiment.spec import load_experiment
from sweeps.search.space import SearchSpace
from tests.sweeps.experiment.experiments import make_experiment, sections, write_experiment

MAPS = {"priors.pool1": {"expert": "student_t", "weight": {"distribution": "log_uniform", "min": 0.001, "max": 0.1}}}


def test_every_arm_is_searched_with_as_many_trials_from_the_middle_of_its_ranges() -> None:
    spec = make_experiment(trials=5)
    sweeps = [sweep_of(spec, cell, check=False) for cell in cells(spec)]
    assert [sweep.name for sweep in sweeps] == ["tiny.middle.variation", "tiny.middle.experts"]
    assert {sweep.method.trials + len(sweep.baselines) for sweep in sweeps} == {5}
    assert {sweep.method.seed for sweep in sweeps} == {sweeps[0].method.seed}
    for sweep in sweeps:
        space = SearchSpace.from_spec(sweep)
        (first,) = space.baselines
        assert first.name == MIDDLE
        assert set(space.searched(first.parameters) or {}) == set(space.names), "the sampler must see it"
        assert first.parameters["learning_rate"] == pytest.approx((0.02 * 0.2) ** 0.5)
        assert first.parameters["total_variation.weight"] == pytest.approx(0.1)


def test_a_second_run_of_every_arm_has_the_priors_on_maps_of_its_depth() -> None:
    priors = sections()["priors"] | {"maps": {"at": {"middle": MAPS, "late": {}}}}
    spec = make_experiment(priors=priors, feature_maps=["maps"], depths={"middle": "conv2/relu", "late": "conv4/relu"})
    assert spec.arm_names == ("variation", "experts", "variation+maps", "experts+maps")
    assert len(cells(spec)) == 8
    assert [cell.depth for cell in cells(spec)] == (["middle"] * 2 + ["late"] * 2) * 2
    assert [cell.arm.endswith("+maps") for cell in cells(spec)] == [False] * 4 + [True] * 4
    assert "priors.pool1" in spec.parameters_of("variation+maps", "middle")
    assert "priors.pool1" not in spec.parameters_of("variation+maps", "late")
    assert Cell("middle", "variation+maps").sweep_name("tiny") == "tiny.middle.variation.maps"
    assert [spec.is_learned(arm) for arm in spec.arm_names] == [False, True, True, True]


def test_an_experiment_survives_json() -> None:
    spec = make_experiment(trained={"ica": {"family": "patch_experts", "short_side": 16, "expert": "logistic"}})
    assert ExperimentSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert spec.trained["ica"].recipe == {"expert": "logistic"}


def test_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    path = write_experiment(tmp_path, trails=3, trials=1, arms={"a": ["variation"], "b": ["varation"]})
    with pytest.raises(InputErrors) as caught:
        load_experiment(path)
    text = "\n".join(caught.value.lines)
    assert "unknown key 'trails'" in text
    assert "trials must be greater than or equal to 2" in text
    assert all(line.startswith(f"{path}:") for line in caught.value.lines)
    path = write_experiment(tmp_path, arms={"a": ["variation"], "b": ["varation"]})
    with pytest.raises(InputErrors, match=r"b: unknown prior 'varation'.*variation"):
        load_experiment(path)


def test_an_arm_that_no_sweep_would_take_is_told_before_anything_runs(tmp_path: Path) -> None:
    priors = sections()["priors"] | {"experts": {"priors.image": {"expert": "cauchy", "weight": 1.0}}}
    with pytest.raises(InputErrors, match=r"tiny.yaml: arm experts at middle: .*unknown value 'cauchy'"):
        load_experiment(write_experiment(tmp_path, priors=priors))


def test_a_photograph_that_is_searched_on_is_not_tested_on_whatever_its_name(tmp_path: Path) -> None:
    copy = tmp_path / "another.jpg"
    copy.write_bytes(sample_path("astronaut").read_bytes())
    path = write_experiment(tmp_path)
    with pytest.raises(InputErrors, match=r"another.jpg is the same picture as sample:astronaut of search_images"):
        load_experiment(path, test=["sample:china", str(copy)])


def test_a_photograph_that_is_trained_on_is_not_tested_on(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "cup.jpg").write_bytes(sample_path("coffee").read_bytes())
    path = write_experiment(tmp_path, trained={"ica": {"family": "patch_experts", "short_side": 16}})
    with pytest.raises(InputErrors, match=r"cup.jpg is the same picture as sample:coffee of test_images"):
        load_experiment(path, train=str(folder))
