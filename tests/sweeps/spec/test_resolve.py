"""Pictures of a spec: every name goes from the folder through the search into the store and back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from restoration_core.errors import InputErrors
from restoration_core.images import sample_path
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.replay import replay
from sweeps.spec.load import parse_spec
from sweeps.store.reader import open_reader
from sweeps.tracking.names import image_labels
from tests.sweeps.sweeps_in_store import store

TEXT = """
name: odd
network: cifar_alexnet
images: [{images}]
image_size: 16
match: conv2/relu
method: {{trials: 1}}
budget: {{iterations: 2}}
save: {{images: all}}
parameters: {{total_variation.weight: 0.1}}
"""
NAMES = [
    b"caf\xe9.jpg",
    b"line\nend.jpg",
    b"~photo.jpg",
    b"sample:x.jpg",
    b"[1]*?.jpg",
    b":smile:.jpg",
    b"l" * 251 + b".jpg",
]


def test_pictures_of_any_name_are_searched_on_stored_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        shutil.copy(sample_path("coffee"), os.path.join(os.fsencode(tmp_path), name))
    spec = parse_spec(TEXT.format(images="'*.jpg'"))
    assert len(spec.images) == len(NAMES)
    json.dumps(spec.model_dump(), ensure_ascii=False).encode()
    url = store(tmp_path)
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    reader = open_reader(url)
    kept = {picture.image for picture in reader.trial("odd", 0).pictures}
    reader.close()
    assert kept == set(spec.images)
    assert replay(url, "odd", 0).identical
    labels = image_labels(spec.images)
    assert len({label.casefold() for label in labels.values()}) == len(NAMES)
    assert max(len(label.encode()) for label in labels.values()) < 120


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pipe.jpg", "pipe.jpg: is a named pipe, not a picture"),
        ("~nosuchuser/x.jpg", "~nosuchuser/x.jpg: matches no picture"),
        ("n" * 900, "nnn: matches no picture in "),
        ("/dev/zero", "/dev/zero: is a device, not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jpg")
    with pytest.raises(InputErrors) as caught:
        parse_spec(TEXT.format(images=f"'{name}'"))
    (line,) = caught.value.lines
    assert message in line
    assert len(line) < 400


@pytest.mark.parametrize("kind", ["pipe", "folder", "circle"])
def test_weights_that_are_no_file_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.safetensors")
    os.symlink("circle.safetensors", "circle.safetensors")
    os.mkdir("folder.safetensors")
    text = TEXT.replace("cifar_alexnet", f"{{{{weights: {kind}.safetensors}}}}")
    with pytest.raises(InputErrors, match=rf"<text>:3: {kind}\.safetensors: (is|no) .*; valid: a state dict"):
        parse_spec(text.format(images="sample:coffee"))
