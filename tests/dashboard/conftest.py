from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from tests.dashboard.filling import store_at

APP = Path(dashboard.__file__).parent / "app.py"
Show = Callable[..., AppTest]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a store that does not exist yet, which the dashboard will read."""
    address = store_at(tmp_path)
    monkeypatch.setenv("RESTORATION_STORE", address)
    monkeypatch.setattr("sys.argv", ["app.py"])
    return address


@pytest.fixture
def show(url: str) -> Show:
    """Return a function that runs one page of the dashboard with the query parameters given."""

    def run(page: str = "sweeps", **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60).run()
        if page == "sweeps":
            return app
        app.query_params.update(query)
        return app.switch_page(f"views/{page}.py").run()

    return run


def words(app: AppTest) -> str:
    """Return all text on a page outside tables and charts."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "code", "info", "warning", "error")
    found = [str(item.value) for kind in kinds for item in getattr(app, kind)]
    return "\n".join([*found, *(caption for image in app.image for caption in image.captions)])
