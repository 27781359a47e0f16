"""No page shows a password of the store's address."""

from pathlib import Path

import pytest
import streamlit as st

from sweeps.store import open_writer
from tests.dashboard.conftest import Show, words
from tests.sweeps.store.conftest import fill
from tests.sweeps.store.fake_server import PASSWORDS, SHOWN, URL_WITH_PASSWORDS, serve


@pytest.mark.parametrize("page", ["sweeps", "sweep", "trial"])
@pytest.mark.parametrize("answers", [True, False])
def test_no_page_shows_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, show: Show, page: str, answers: bool
) -> None:
    monkeypatch.setenv("RESTORATION_STORE", URL_WITH_PASSWORDS)
    st.cache_resource.clear()  # of the store that another test had at this address
    if answers:
        with open_writer(serve(tmp_path / f"{page}.db", monkeypatch)) as writer:
            fill(writer, "tiny")
    app = show(page) if page == "sweeps" else show(page, sweep="tiny", trial="0")
    assert not app.exception
    assert (SHOWN in words(app)) == (not answers or page != "sweeps")  # the commands on the pages name the store
    assert not any(password in words(app) for password in PASSWORDS)
