"""Names against MLflow's own validator, and labels of pictures."""

from __future__ import annotations

import pytest

from sweeps.tracking.names import image_labels, metric_key

NAMES = [
    "image_mse",
    "priors.conv2/relu.patch_size",
    "features.3",
    "/absolute//path/../x",
    "../../etc/passwd",
    "sample:coffee",
    "ünïcode name",
    "quo\"te's",
    "..",
    "",
    "x" * 400,
    "a/./b/",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_key_passes_mlflows_own_validation(name: str) -> None:
    from mlflow.utils.validation import _validate_metric, _validate_param

    _validate_metric(metric_key(name), 1.0, 0, 0)
    _validate_param(metric_key(name), "1")


@pytest.mark.parametrize("name", NAMES[:3])
def test_a_name_that_mlflow_takes_is_left_as_it_is(name: str) -> None:
    assert metric_key(name) == name


def test_long_names_that_differ_at_the_end_stay_apart() -> None:
    assert metric_key("x" * 300 + "a") != metric_key("x" * 300 + "b")


def test_labels_are_distinct_single_path_components_whatever_the_pictures_are_called() -> None:
    images = ["photos/a.jpg", "photos:a.jpg", "PHOTOS/A.jpg", "sample:coffee", "../x", "..", "dir/ü ö.png"]
    labels = image_labels(images)
    assert len({label.casefold() for label in labels.values()}) == len(images)
    assert not any(set(label) & set('/:\\ "') or label.startswith(".") for label in labels.values())
    assert labels["sample:coffee"] == "sample_coffee"
    assert image_labels(reversed(images)) == labels
