"""The page of one sweep, run by Streamlit's own test runner against a real store."""

import sqlite3

import pytest

from sweeps.store import SweepStatus, open_reader
from tests.dashboard.conftest import Show, words
from tests.dashboard.filling import Filler, fill_demo, fill_front, suggestions
from tests.dashboard.pages import HOSTILE, button, figures, sound

pytestmark = pytest.mark.slow


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
