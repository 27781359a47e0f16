"""The coordinator keeps the pictures of the best searched trials, of baselines and of fronts, as the spec says."""

from __future__ import annotations

import pytest

from sweeps.execution.protocol import TrialRecord
from sweeps.store.reader import open_reader
from tests.sweeps.execution.coordinating import start, states
from tests.sweeps.sweeps_in_store import coordinate, make_spec, with_picture


def pictures_of(url: str) -> dict[int, int]:
    reader = open_reader(url)
    counts = {number: len(reader.trial("test", number).pictures) for number in states(url)}
    reader.close()
    return counts


@pytest.mark.parametrize(
    ("policy", "kept"), [("all", [1, 1, 1, 1, 1]), ("none", [0, 0, 0, 0, 0]), ("best", [1, 1, 0, 1, 0])]
)
def test_pictures_are_kept_as_the_spec_says(url: str, policy: str, kept: list[int]) -> None:
    coordinator = start(url, save={"images": policy}, method={"sampler": "random", "trials": 4})
    values = [0.5, 0.4, 0.45, 0.3, 0.6]  # the first is the baseline
    items = coordinator.ask(5, "a")
    for pair in (slice(0, 3), slice(3, 5)):
        coordinator.finish([with_picture(item, values[item.number], item.number) for item in items[pair]])
    assert list(pictures_of(url).values()) == kept
    coordinator.close()


def test_a_baseline_keeps_its_pictures_though_it_is_not_the_best(url: str) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 1})
    baseline, searched = coordinator.ask(2, "a")
    coordinator.finish([with_picture(searched, 0.1, 1)])
    coordinator.finish([with_picture(baseline, 0.9, 2)])
    assert pictures_of(url) == {0: 1, 1: 1}
    coordinator.close()


def test_while_a_baseline_leads_the_best_searched_trial_keeps_its_pictures_in_one_call_and_after_a_resume(
    url: str,
) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 6})
    items = coordinator.ask(4, "a")
    values = [0.01, 0.5, 0.4, 0.45]
    coordinator.finish([with_picture(item, value, item.number) for item, value in zip(items, values, strict=True)])
    assert pictures_of(url) == {0: 1, 1: 1, 2: 1, 3: 0}
    coordinator.close()
    coordinator = coordinate(url, make_spec())
    later = coordinator.ask(2, "a")
    coordinator.finish([with_picture(later[0], 0.42, 4), with_picture(later[1], 0.39, 5)])
    assert pictures_of(url) == {0: 1, 1: 1, 2: 1, 3: 0, 4: 0, 5: 1}
    coordinator.close()


def test_with_two_metrics_the_front_is_kept_and_counted(url: str) -> None:
    metrics = [{"name": "image_mse", "goal": "minimize"}, {"name": "ssim", "goal": "maximize"}]
    coordinator = start(url, metric=metrics, baselines=[], method={"sampler": "nsga2", "trials": 3})
    items = coordinator.ask(3, "a")
    values = [(0.2, 0.5), (0.1, 0.4), (0.3, 0.45)]
    coordinator.finish(
        [
            TrialRecord(item.number, item.token, metrics={"image_mse": mse, "ssim": ssim})
            for item, (mse, ssim) in zip(items, values, strict=True)
        ]
    )
    progress = coordinator.progress()
    assert (progress["front"], progress["best_number"]) == (2, 1)
    coordinator.close()
