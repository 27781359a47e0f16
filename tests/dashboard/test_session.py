"""A store that cannot be read, or fails while a page is drawn, is said on the page in one line."""

import os
from pathlib import Path

import pytest

from sweeps.store import open_writer
from tests.dashboard.conftest import Show, words
from tests.sweeps.store.conftest import fill


def damage(path: Path, start: int) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(size - start))


@pytest.mark.parametrize("page", ["sweeps", "sweep", "trial"])
def test_a_damaged_store_is_said_on_every_page(show: Show, url: str, page: str) -> None:
    with open_writer(url) as writer:
        fill(writer, "a")
    path = Path(url.removeprefix("sqlite:///"))
    damage(path, path.stat().st_size // 3)
    app = show(page) if page == "sweeps" else show(page, sweep="a", trial="0")
    assert not app.exception
    assert "The store cannot be read." in words(app)
    assert "is damaged (database disk image is malformed); bring back a copy" in words(app)


def test_what_is_no_store_is_said_on_the_page(show: Show, url: str) -> None:
    Path(url.removeprefix("sqlite:///")).write_text("remember the milk\n" * 100)
    app = show()
    assert not app.exception
    assert "file is not a database" in words(app)
