"""The page of one trial, run by Streamlit's own test runner against a real store."""

import pytest

from sweeps.store import open_reader
from tests.dashboard.conftest import Show, words
from tests.dashboard.filling import fill_demo
from tests.dashboard.pages import button, figures, sound

pytestmark = pytest.mark.slow


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

    def test_its_pictures_can_be_downloaded(self, show: Show, url: str) -> None:
        fill_demo(url)
        (download,) = sound(show("trial", sweep="demo", trial="5")).get("download_button")
        assert download.proto.label == "Download the pictures"

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
