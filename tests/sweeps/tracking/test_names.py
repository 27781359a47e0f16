"""Names against MLflow's own validator, and labels of pictures."""

from __future__ import annotations

import pytest

from sweeps.tracking.client import quiet_mlflow
from sweeps.tracking.names import image_labels, metric_key
from tests.sweeps.tracking import asked

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


def test_mlflow_takes_every_key(mlflow_uri: str) -> None:
    with quiet_mlflow():
        client = asked.client(mlflow_uri)
        run = client.create_run("0").info.run_id
        for name in NAMES:
            client.log_metric(run, metric_key(name), 1.0)
            client.log_param(run, metric_key(name), "1")
        data = client.get_run(run).data
    assert set(data.metrics) == set(data.params) == {metric_key(name) for name in NAMES}


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
