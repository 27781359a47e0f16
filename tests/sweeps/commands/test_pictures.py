"""``sweep pictures``: the best reconstruction, or another, as files."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.store import NewSweep, open_reader, open_writer, picture_archive, picture_files
from tests.sweeps.commands.called import restoration
from tests.sweeps.sweeps_in_store import coordinate, make_spec, picture, record, store, with_picture

pytestmark = pytest.mark.slow

IMAGES = ("photos/a/cat.jpg", "photos/b/cat.jpg", "sample:coffee", "x" * 400 + ".jpg")


def filled(folder: Path) -> str:
    """Return a store with sweep `test` over pictures of awkward names; of trials 0 to 2 the last is the best."""
    url = store(folder)
    spec = make_spec(
        images=list(IMAGES), baselines=[], method={"sampler": "random", "trials": 4}, save={"images": "all"}
    )
    originals = [(image, "search", picture(10 * place)) for place, image in enumerate(IMAGES)]
    with open_writer(url) as writer:
        writer.create_sweep(
            NewSweep("test", "", spec.model_dump(mode="json"), ["image_mse"], ["minimize"], 0, 4, "me", {}, originals)
        )
    coordinator = coordinate(url, spec)
    for place, item in enumerate(coordinator.ask(4, "me")[:3]):
        made = with_picture(item, 0.3 - place / 10, 100 + place)
        pictures = [
            type(made.pictures[0])(image, step, step == 12, picture(100 + place + step))
            for image in IMAGES
            for step in (4, 12)
        ]
        coordinator.finish([record(item, 0.3 - place / 10, pictures=tuple(pictures))])
    coordinator.close()
    return url


def test_the_best_trial_is_written_with_originals_differences_and_steps(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url, out = filled(tmp_path), tmp_path / "out" / "deeper"
    done = restoration(capfd, "sweep", "pictures", "test", "--to", str(out), "--store", url)
    assert done.status == 0
    *names, last = done.out.splitlines()
    assert last == f"trial 2 of test, the best: 20 files written to {out}"
    assert sorted(names) == sorted(os.listdir(out))
    assert {
        "coffee-original.png",
        "coffee-trial-2-reconstruction.png",
        "coffee-trial-2-signed_difference.png",
        "coffee-trial-2-absolute_difference.png",
        "coffee-trial-2-step-4.png",
        "cat-original.png",
        "cat-2-original.png",
    } <= set(names)
    with Image.open(out / "coffee-trial-2-reconstruction.png") as shown:
        assert np.asarray(shown).tolist() == np.full((8, 8, 3), 114).tolist()
    assert max(len(name) for name in names) <= 255


def test_the_same_command_again_writes_nothing_and_another_trial_goes_beside(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url, out = filled(tmp_path), tmp_path / "out"
    arguments = ("sweep", "pictures", "test", "--to", str(out), "--store", url)
    restoration(capfd, *arguments)
    assert restoration(capfd, *arguments).out.endswith(f": 0 files written to {out}, 20 were there already\n")
    other = restoration(capfd, "sweep", "pictures", "test", "0", *arguments[3:])
    assert other.out.endswith(f"trial 0 of test: 16 files written to {out}, 4 were there already\n")


def test_a_file_of_other_content_is_kept_and_nothing_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url, out = filled(tmp_path), tmp_path / "out"
    out.mkdir()
    (out / "coffee-original.png").write_text("mine")
    done = restoration(capfd, "sweep", "pictures", "test", "--to", str(out), "--store", url)
    assert done.status == 2
    assert done.error == f"--to {out}: coffee-original.png is there with other content; valid: another folder"
    assert [path.name for path in out.iterdir()] == ["coffee-original.png"]
    assert (out / "coffee-original.png").read_text() == "mine"


def test_a_trial_without_pictures_says_which_have_them(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = filled(tmp_path)
    done = restoration(capfd, "sweep", "pictures", "test", "3", "--to", str(tmp_path / "out"), "--store", url)
    assert done.status == 2
    assert done.error == (
        "trial 3 of 'test' has no pictures in the store (running); trials that have them: 0, 1, 2; "
        "`restoration sweep replay test 3` runs this one again"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test", "99999999999999999999"], "99999999999999999999 is not in the range 0<=x<=1000000"),
        (["test", "17"], "sweep 'test' has no trial 17; valid: 0 to 3"),
        (["tset"], "unknown sweep 'tset'; did you mean 'test'?"),
        (["test", "--to", "/proc/nothing"], "--to /proc/nothing: cannot be written"),
        (["test", "--to", "/dev/null"], "--to /dev/null: is a file; valid: a folder"),
        (["test", "--to", "/dev/null/x"], "--to /dev/null/x: cannot be written (not a directory)"),
    ],
)
def test_what_cannot_be_written_is_one_line_with_exit_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    to = [] if "--to" in arguments else ["--to", str(tmp_path / "out")]
    done = restoration(capfd, "sweep", "pictures", *arguments, *to, "--store", filled(tmp_path))
    assert done.status == 2
    assert message in done.error
    assert not (tmp_path / "out").exists()


def test_an_archive_holds_the_same_files(tmp_path: Path) -> None:
    reader = open_reader(filled(tmp_path))
    files = picture_files(reader, reader.sweep("test"), reader.trial("test", 2))
    reader.close()
    with zipfile.ZipFile(io.BytesIO(picture_archive(files))) as archive:
        assert {name: hashlib.sha256(archive.read(name)).digest() for name in archive.namelist()} == {
            name: hashlib.sha256(content).digest() for name, content in files.items()
        }
