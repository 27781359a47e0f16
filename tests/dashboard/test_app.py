"""Every page, run by Streamlit's own test runner against a real store."""

import base64
import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sweeps.store import SweepStatus, open_reader, open_writer
from tests.dashboard.conftest import Show, words
from tests.dashboard.filling import Filler, fill_demo, fill_front, store_at, suggestions

HOSTILE = '<img src=x onerror="alert(1)"> [go](http://evil.example) **bold** $x$ :red[y]'


def sound(app: AppTest) -> AppTest:
    """Return the page after checking that no exception reached it."""
    assert not app.exception, [item.message for item in app.exception]
    return app


def button(app: AppTest, key: str):
    return next(item for item in app.button if item.key == key)


def figures(app: AppTest) -> list[dict]:
    """Return the charts' data and layout; typed arrays (``bdata``) are decoded."""
    return [decoded(json.loads(item.proto.spec)) for item in app.get("plotly_chart")]


def decoded(node: Any) -> Any:
    if isinstance(node, dict) and "bdata" in node:
        values = np.frombuffer(base64.b64decode(node["bdata"]), dtype=node["dtype"])
        shape = [int(side) for side in str(node.get("shape", len(values))).split(",")]
        return values.reshape(shape).tolist()
    if isinstance(node, dict):
        return {key: decoded(value) for key, value in node.items()}
    return [decoded(item) for item in node] if isinstance(node, list) else node


def hostile_comparison() -> dict[str, Any]:
    one = {"winner": 1.0, "baseline": 2.0, "difference": -1.0, "interval": [-2.0, 0.0], "better_on": 0, "pictures": 1}
    values = {HOSTILE: {"winner": 1.0, "baseline": 2.0}}
    return {"winner": 1, "seeds": 3, "comparisons": {HOSTILE: {"psnr": {**one, "by_picture": values}}}}


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


class TestSweep:
    def test_it_shows_the_headline_the_verdict_and_the_pictures(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("sweep", sweep="demo"))
        best = open_reader(url).best("demo", 1).iloc[0]
        shown = {metric.label: metric.value for metric in app.metric}
        assert shown[r"Best image\_mse"] == f"{best['objective']:.4g}"
        assert shown["Trials"] == "16 / 16"
        assert shown["Failed"] == "1"
        assert "better on 2 of 2 pictures" in words(app)
        captions = [caption for image in app.image for caption in image.captions]
        assert len(captions) == 8  # two pictures, each: original, best, two baselines
        assert sum(rf"best searched, trial {best['number']}\:" in caption for caption in captions) == 2

    def test_the_charts_show_the_store_s_values(self, show: Show, url: str) -> None:
        fill_demo(url)
        charts = figures(sound(show("sweep", sweep="demo")))
        trials = open_reader(url).trials("demo")
        assert len(charts) == 4  # history, three parameters
        numbers = [point[0] for point in charts[0]["data"][0]["customdata"]]
        complete = trials[(trials["state"] == "complete") & trials["baseline"].isna()]
        assert numbers == complete["number"].tolist()
        titles = [chart["layout"]["xaxis"]["title"]["text"] for chart in charts[1:]]
        assert titles == ["total_variation.weight", "priors.image.expert", "priors.image.patch_size"]
        assert charts[1]["layout"]["xaxis"]["type"] == "log"

    @pytest.mark.slow
    def test_the_trials_can_be_filtered_by_state_text_and_range(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = show("sweep", sweep="demo")
        table = app.dataframe[-1].value
        assert len(table) == 16
        app.multiselect(key="state").set_value(["failed"]).run()
        assert sound(app).dataframe[-1].value["number"].tolist() == [3]
        app.multiselect(key="state").set_value([]).run()
        app.text_input(key="text").set_value("student_t").run()
        assert set(sound(app).dataframe[-1].value["params.priors.image.expert"]) == {"student_t"}
        app.text_input(key="text").set_value("").run()
        app.multiselect(key="range").set_value(["objective"]).run()
        limit = float(table["objective"].median())
        app.number_input(key="max.objective").set_value(limit).run()
        kept = sound(app).dataframe[-1].value["objective"]
        assert 0 < len(kept) < 16
        assert (kept <= limit).all()

    def test_filters_and_axes_come_from_the_address(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("sweep", sweep="demo", state="failed", order="as finished", metric="psnr", log="false"))
        assert app.dataframe[-1].value["state"].tolist() == ["failed"]
        history = figures(app)[0]
        assert history["layout"]["xaxis"]["title"]["text"] == "order of finishing"
        assert history["layout"]["yaxis"]["title"]["text"] == "psnr"
        assert history["layout"]["yaxis"]["type"] == "linear"

    def test_the_download_holds_the_trials_shown(self, show: Show, url: str) -> None:
        fill_demo(url, planned=6)
        app = sound(show("sweep", sweep="demo"))
        assert [item.label for item in app.get("download_button")] == ["These trials as CSV"]

    def test_a_click_in_the_table_opens_the_trial_of_the_filtered_row(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = show("sweep", sweep="demo", state="failed")
        app.session_state["trials_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
        assert sound(app.run()).title[0].value == "Trial 3"
        assert app.query_params == {"sweep": "demo", "trial": "3"}

    def test_the_best_trial_is_one_click_away(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = show("sweep", sweep="demo")
        button(app, "open_best").click().run()
        assert sound(app).title[0].value == f"Trial {open_reader(url).best('demo', 1).iloc[0]['number']}"

    def test_before_the_first_result_there_are_no_empty_charts(self, show: Show, url: str) -> None:
        filler = Filler(url, "fresh", planned=4)
        filler.ask(0, {"total_variation.weight": 1.0})
        filler.close()
        app = sound(show("sweep", sweep="fresh"))
        assert "No trial has been completed yet." in words(app)
        assert not app.get("plotly_chart")

    def test_a_running_sweep_follows_the_store(self, show: Show, url: str) -> None:
        fill_demo(url, running=True, planned=12)
        app = sound(show("sweep", sweep="demo"))
        assert "this page follows" in words(app)
        assert "The verdict comes at the end" in words(app)
        shown = {metric.label: metric.value for metric in app.metric}
        assert (shown["Trials"], shown["Running"]) == ("7 / 12", "2")
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("UPDATE trials SET state = 'failed', failure = 'lost' WHERE number = 7")
        shown = {metric.label: metric.value for metric in sound(app.run()).metric}
        assert (shown["Trials"], shown["Running"], shown["Failed"]) == ("8 / 12", "1", "2")

    def test_a_sweep_without_trials_says_that_workers_start(self, show: Show, url: str) -> None:
        Filler(url, "new").close()
        app = sound(show("sweep", sweep="new"))
        assert "workers are starting" in words(app)

    @pytest.mark.parametrize("goals", [("image_mse",), ("image_mse", "psnr")], ids=["one metric", "two metrics"])
    def test_a_sweep_whose_first_trials_run_shows_no_values_yet(self, show: Show, url: str, goals) -> None:
        filler = Filler(url, "new", metric_names=goals, metric_goals=["minimize", "maximize"][: len(goals)])
        filler.ask(0, suggestions(1)[0])
        filler.close()
        app = sound(show("sweep", sweep="new"))
        assert next(metric.value for metric in app.metric if metric.label == "Trials") == "0 / 16"

    def test_a_sweep_whose_trials_all_failed_is_shown(self, show: Show, url: str) -> None:
        filler = Filler(url, "sad", planned=1)
        filler.ask(0, suggestions(1)[0])
        filler.fail(0, "out of memory")
        filler.close(SweepStatus.FAILED)
        app = sound(show("sweep", sweep="sad"))
        assert next(metric.value for metric in app.metric if metric.label == "Failed") == "1"

    def test_several_metrics_have_a_front(self, show: Show, url: str) -> None:
        fill_front(url)
        app = sound(show("sweep", sweep="front"))
        assert "Pareto front" in [item.value for item in app.subheader]
        ringed = next(trace for trace in figures(app)[-1]["data"] if trace["name"] == "on the front")
        assert sorted(point[0] for point in ringed["customdata"]) == sorted(open_reader(url).best("front")["number"])

    @pytest.mark.parametrize("query", [{}, {"sweep": ""}, {"sweep": "dmo"}, {"sweep": HOSTILE}])
    def test_a_bad_address_is_said_in_one_line(self, show: Show, url: str, query: dict[str, str]) -> None:
        fill_demo(url, planned=4)
        app = sound(show("sweep", **query))
        assert len(app.error) == 1
        assert "\n" not in app.error[0].value
        assert not app.title


class TestTrial:
    def test_it_shows_each_picture_with_its_reconstruction_and_both_differences(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="5"))
        captions = [caption for image in app.image for caption in image.captions]
        row = [
            "original",
            "reconstruction (300 iterations, final)",
            "signed difference, ±0.5",
            "absolute difference, 0 to 0.5",
        ]
        assert captions == row * 2
        assert "mid-grey is no error" in words(app)
        assert "restoration sweep replay demo 5 --store sqlite:///" in words(app)

    def test_a_kept_step_and_the_scale_can_be_chosen(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="5", scale="±0.1", step="100"))
        captions = [caption for image in app.image for caption in image.captions]
        assert captions[1:3] == ["reconstruction (100 iterations)", "signed difference, ±0.1"]
        app.select_slider(key="step").set_value("final").run()
        assert "reconstruction (300 iterations, final)" in words(sound(app))

    def test_its_numbers_are_the_store_s(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="5"))
        trial = open_reader(url).trial("demo", 5)
        assert app.metric[0].value == f"{trial.objective:.4g}"
        tables = [item.value for item in app.dataframe]
        assert tables[0]["Parameter"].tolist() == list(trial.parameters)
        wide = tables[1].set_index("Picture")
        expected = trial.image_metrics.set_index(["image", "name"])["value"]
        assert wide.loc["sample:coffee", "psnr"] == pytest.approx(expected["sample:coffee", "psnr"])
        facts = tables[2].set_index("Fact")["Value"]
        assert (facts["Device"], facts["Attempt"], facts["Compute"]) == ("cpu", "1", "2.0 s")
        assert len(figures(app)) == 2
        assert figures(app)[0]["layout"]["yaxis"]["type"] == "log"

    def test_a_failed_trial_says_why(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="3"))
        assert "the objective became NaN after 120 iterations" in app.error[0].value.replace("\\", "")
        assert "restoration sweep replay demo 3" in words(app)

    def test_a_trial_without_pictures_shows_the_command_that_makes_them(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="4"))
        assert "were not kept" in words(app)
        assert "restoration sweep replay demo 4" in words(app)
        assert [caption for image in app.image for caption in image.captions] == [
            r"original sample\:astronaut",
            r"original sample\:coffee",
        ]

    def test_a_running_trial_waits_for_its_result(self, show: Show, url: str) -> None:
        fill_demo(url, running=True, planned=12)
        app = sound(show("trial", sweep="demo", trial="8"))
        assert "come when the trial ends" in words(app)
        assert "this page follows" in words(app)

    def test_neighbours_and_the_best_keep_the_rest_of_the_address(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = show("trial", sweep="demo", trial="5", scale="±0.1")
        button(app, "go_next").click().run()
        assert sound(app).title[0].value == "Trial 6"
        assert app.query_params == {"sweep": "demo", "trial": "6", "scale": "±0.1"}
        button(app, "go_previous").click().run()
        assert sound(app).title[0].value == "Trial 5"
        button(app, "go_best").click().run()
        assert sound(app).title[0].value == f"Trial {open_reader(url).best('demo', 1).iloc[0]['number']}"
        assert button(app, "go_best").disabled

    def test_the_first_trial_has_no_previous_one(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="0"))
        assert button(app, "go_previous").disabled
        assert not button(app, "go_next").disabled
        assert "Baseline **none**" in words(app)

    @pytest.mark.parametrize("trial", ["", "99", "-1", "1.5", "abc", "9" * 40, "²"])
    def test_a_bad_number_is_said_in_one_line(self, show: Show, url: str, trial: str) -> None:
        fill_demo(url, planned=4)
        app = sound(show("trial", sweep="demo", trial=trial))
        assert len(app.error) == 1
        assert "\n" not in app.error[0].value

    def test_unusable_settings_in_the_address_are_ignored(self, show: Show, url: str) -> None:
        fill_demo(url)
        app = sound(show("trial", sweep="demo", trial="5", scale="7", step="12345", logloss="perhaps"))
        assert "signed difference, ±0.5" in words(app)
        assert "reconstruction (300 iterations, final)" in words(app)


class TestHostileText:
    @pytest.fixture
    def filled(self, url: str) -> str:
        filler = Filler(url, HOSTILE, owner=HOSTILE, images=[HOSTILE], planned=3, spec_yaml=HOSTILE)
        filler.ask(0, {HOSTILE: HOSTILE, "w": 1.0}, baseline=HOSTILE)
        filler.complete(0, {"w": 1.0})
        filler.ask(1, {HOSTILE: "other", "w": 2.0})
        filler.complete(1, {"w": 2.0})
        filler.ask(2, {HOSTILE: "third", "w": 3.0})
        filler.fail(2, HOSTILE)
        filler.close(SweepStatus.COMPLETE, {"summary": HOSTILE, **hostile_comparison()})
        return url

    @pytest.mark.parametrize(
        ("page", "query"), [("sweeps", {}), ("sweep", {}), ("trial", {"trial": "1"}), ("trial", {"trial": "2"})]
    )
    def test_stored_text_is_never_markup(self, show: Show, filled: str, page: str, query: dict[str, str]) -> None:
        app = sound(show(page, sweep=HOSTILE, **query))
        interpreted = ("title", "subheader", "markdown", "caption", "info", "warning", "error")
        texts = [item.value for kind in interpreted for item in getattr(app, kind)]
        texts += [caption for image in app.image for caption in image.captions]
        texts += [text for metric in app.metric for text in (metric.label, metric.delta)]
        texts += [link.label for link in app.page_link]
        for markup in ("<img", r"\[go", r"\*\*bold", r"\$x", ":red\\["):
            assert not [text for text in texts if re.search(rf"(?<!\\){markup}", text)]
        assert not [chart for chart in figures(app) if "<img" in json.dumps(chart)]
