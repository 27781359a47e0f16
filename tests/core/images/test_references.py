"""Which pictures are meant: globs, folders, and every name that a file system holds."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from PIL import Image

from restoration_core.errors import InputError, InputErrors
from restoration_core.images import expand_images, folder_pictures, load_image, picture_path, picture_reference

ODD_NAMES = [
    b"line\nend.png",
    b"tab\there.png",
    b"'quoted' \"twice\".png",
    b"-dash.png",
    b" spaces .png",
    "\N{GRINNING FACE}\N{ZERO WIDTH JOINER}.png".encode(),
    "e\N{COMBINING ACUTE ACCENT}.png".encode(),
    b"caf\xe9.png",
    b"\xff\xfe.png",
    b"\x1b[31mred.png",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.png".encode(),
    "\N{LINE SEPARATOR}.png".encode(),
    b"a:b.png",
    b"sample:x.png",
    b"~photo.png",
    b"[1]*?.png",
    b"**.png",
    b"back\\slash.png",
    b"back\\x41slash.png",
    b"dot..png",
    b"percent%2F%s.png",
    b"l" * 251 + b".png",
    b"A.png",
    b"a.png",
]


def picture(path: str | bytes | Path) -> None:
    with open(path, "wb") as file:
        Image.new("RGB", (4, 4), "teal").save(file, "PNG")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse some of these names")
@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
def test_a_picture_of_any_name_has_a_reference_that_is_plain_text_and_opens_it(here: Path, name: bytes) -> None:
    picture(name)
    (reference,) = expand_images(["*.png"])
    assert reference.encode().decode() == reference  # what databases and JSON take
    assert "".join(reference.split("\n")) == reference
    assert os.fsencode(os.path.normpath(picture_path(reference))) == name
    assert load_image(reference, 4).shape == (3, 4, 4)
    assert expand_images([reference]) == [reference]
    assert expand_images(["./" + os.fsdecode(name)]) == [reference]
    assert [picture_reference(path) for path in folder_pictures(Path())] == [reference]


def test_two_files_that_would_be_written_alike_are_refused(here: Path) -> None:
    picture(b"caf\xe9.png")
    picture(rb"caf\xe9.png")
    with pytest.raises(InputErrors, match=r"caf\\xe9.png: two files have names that are written so; valid: rename one"):
        expand_images(["*.png"])


def test_a_tilde_is_a_home_only_where_a_shell_would_say_so(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    picture(home / "photo.png")
    picture(here / "~photo.png")
    assert expand_images(["~/*.png", "~/photo.png", "~photo.png"]) == [str(home / "photo.png"), "./~photo.png"]
    assert load_image("~/photo.png", 4).shape == load_image("~photo.png", 4).shape
    with pytest.raises(InputErrors, match=r"~nosuchuser/x\.jpg: matches no picture"):
        expand_images(["~nosuchuser/x.jpg"])
    with pytest.raises(InputError, match=r"~nosuchuser/x\.jpg: no such picture"):
        load_image("~nosuchuser/x.jpg", 4)


def test_a_folder_passes_over_hidden_files_and_what_is_no_file(here: Path) -> None:
    picture("photo.png")
    (here / "._photo.png").write_bytes(b"\0\5\x16\7 what a Mac keeps beside a file")
    (here / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (here / ".hidden").mkdir()
    picture(".hidden/other.png")
    (here / "folder.png").mkdir()
    os.mkfifo("pipe.png")
    os.symlink("nowhere", "broken.png")
    os.symlink("circle.png", "circle.png")
    assert folder_pictures(here) == [here / "photo.png"]
    assert expand_images(["*.png", "**/*.png"]) == ["photo.png"]


def test_a_folder_of_hidden_files_only_and_no_folder_are_refused(here: Path) -> None:
    picture("._photo.png")
    with pytest.raises(InputError, match=r"no picture in it; valid: files that end in \.jpg"):
        folder_pictures(here)
    with pytest.raises(InputError, match="no such folder"):
        folder_pictures(here / "none")
    assert expand_images(["._photo.png"]) == ["._photo.png"]  # asked for by name


def test_what_is_no_file_is_refused_at_once_with_what_it_is(here: Path) -> None:
    os.mkfifo("pipe.png")
    os.symlink("circle.png", "circle.png")
    os.symlink("nowhere", "broken.png")
    (here / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        expected = {
            "pipe.png": "pipe.png: is a named pipe, not a picture",
            "circle.png": "circle.png: no picture that can be read (its links lead in a circle)",
            "broken.png": "broken.png: no such picture",
            "folder": "folder: is a folder; valid: a picture, or a glob such as folder/*.jpg",
            "/dev/zero": "/dev/zero: is a device, not a picture",
            "socket.png": "socket.png: is a socket, not a picture",
            "n" * 10_000: "matches no picture",
            "zero\0byte.png": r"zero\x00byte.png: matches no picture",
            "": "is a folder",
        }
        with pytest.raises(InputErrors) as caught:
            expand_images(expected)
        for line, message in zip(caught.value.lines, expected.values(), strict=True):
            assert message in line
            assert len(line) < 600
            assert "\n" not in line
        with pytest.raises(InputError, match="is a named pipe"):
            load_image("pipe.png", 4)


def test_links_between_folders_are_followed_but_none_is_entered_twice(here: Path) -> None:
    (here / "a" / "b").mkdir(parents=True)
    picture("a/b/x.png")
    for place in ("a/up", "a/b/up", "a/b/top"):
        os.symlink(here, place)
    (here / "elsewhere").mkdir()
    picture("elsewhere/y.png")
    os.symlink(here / "elsewhere", here / "a" / "set")
    assert expand_images(["a/**/x.png"]) == ["a/b/x.png"]
    assert expand_images(["a/**/*.png"])[-1] == "a/set/y.png"
    assert expand_images(["**/b/**/x.png"]) == ["a/b/x.png"]
    assert expand_images(["elsewhere/**"]) == ["elsewhere/y.png"]


def test_globs_expand_in_order_from_the_base_folder_without_duplicates(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "deep/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(tmp_path / name)
    found = expand_images(["sample:coffee", "*.png", "a.png", "**/*.png"], tmp_path)
    assert [os.path.relpath(path, tmp_path) for path in found[1:]] == ["a.png", "b.png", "deep/c.png"]
    assert found[0] == "sample:coffee"
    assert expand_images(["sample:c*"]) == ["sample:chelsea", "sample:china", "sample:coffee"]


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(tmp_path: Path) -> None:
    folder = tmp_path / "set[1]"
    folder.mkdir()
    picture(folder / "x[2].png")
    assert expand_images(["x[2].png"], folder) == [str(folder / "x[2].png")]
    assert expand_images(["*.png"], folder) == [str(folder / "x[2].png")]


def test_a_sample_goes_before_a_file_of_the_same_name(here: Path) -> None:
    picture("sample:coffee")
    picture("sample:mine")
    assert expand_images(["sample:coffee", "./sample:coffee", "sample:mine"]) == [
        "sample:coffee",
        "./sample:coffee",
        "./sample:mine",
    ]
    assert picture_path("sample:coffee").name == "coffee.jpg"
    assert load_image("./sample:coffee", 1)[:, 0, 0].tolist() == pytest.approx([0, 128 / 255, 128 / 255])


def test_all_references_without_a_picture_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputErrors) as caught:
        expand_images(["none/*.jpg", "sample:cofee", "sample:coffee"], tmp_path)
    assert len(caught.value.lines) == 2
    assert "none/*.jpg: matches no picture" in caught.value.lines[0]
    assert "did you mean 'coffee'" in caught.value.lines[1]
