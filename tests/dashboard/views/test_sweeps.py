"""The page of all sweeps, run by Streamlit's own test runner against a real store."""

from pathlib import Path

import pytest

from sweeps.store import open_reader, open_writer
from tests.dashboard.conftest import Show, words
from tests.dashboard.filling import fill_demo, store_at
from tests.dashboard.pages import sound

pytestmark = pytest.mark.slow


class TestSweeps:
    def test_a_missing_store_says_how_to_run_the_first_sweep(self, show: Show) -> None:
        app = sound(show())
        assert "no store at" in words(app)
        assert "restoration sweep run" in words(app)

    def test_an_empty_store_says_how_to_run_the_first_sweep(self, show: Show, url: str) -> None:
        open_writer(url).close()
        app = sound(show())
        assert "no sweeps yet" in words(app)
        assert "restoration sweep run" in words(app)

    def test_a_file_that_is_no_store_is_said_in_one_line(self, show: Show, tmp_path: Path) -> None:
        (tmp_path / "store.db").write_bytes(b"not a database" * 100)
        app = sound(show())
        assert "store" in app.text[0].value
        assert "\n" not in app.text[0].value

    def test_the_table_lists_every_sweep_with_its_best(self, show: Show, url: str) -> None:
        fill_demo(url, "done", planned=8)
        fill_demo(url, "going", planned=8, running=True)
        table = sound(show()).dataframe[0].value
        assert table["Sweep"].tolist() == ["going", "done"]
        assert table["Status"].tolist() == ["running", "complete"]
        assert table["Progress"].tolist() == [37.5, 100.0]
        assert table["Failed"].tolist() == [0, 1]
        best = open_reader(url).best("done", 1).iloc[0]
        assert table["Best"].iloc[1] == pytest.approx(best["objective"])
        assert table["Best trial"].iloc[1] == best["number"]

    @pytest.mark.parametrize("selection", [{"rows": [1], "cells": []}, {"rows": [], "cells": [[1, "Owner"]]}])
    def test_a_click_in_a_row_opens_its_sweep(self, show: Show, url: str, selection: dict) -> None:
        fill_demo(url, "first", planned=4)
        fill_demo(url, "second", planned=4)
        app = show()
        app.session_state["sweeps_table"] = {"selection": {"columns": [], **selection}}
        assert sound(app.run()).title[0].value == "first"
        assert app.query_params == {"sweep": "first"}

    def test_a_store_made_after_the_page_was_opened_is_found(self, show: Show, url: str) -> None:
        app = show()
        fill_demo(url, planned=4)
        assert sound(app.run()).dataframe[0].value["Sweep"].tolist() == ["demo"]

    def test_a_store_deleted_and_made_again_is_read_anew(self, show: Show, url: str, tmp_path: Path) -> None:
        fill_demo(url, "old", planned=4)
        app = show()
        for file in tmp_path.glob("store.db*"):
            file.unlink()
        other = tmp_path / "other"
        other.mkdir()
        fill_demo(store_at(other), "new", planned=4)
        (other / "store.db").rename(tmp_path / "store.db")
        assert sound(app.run()).dataframe[0].value["Sweep"].tolist() == ["new"]
