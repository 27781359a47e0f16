import numpy as np
import pandas as pd

from dashboard.charts import optimisation_history


def trace(figure, name):
    found = [item for item in figure.data if item.name == name]
    assert len(found) == 1, [item.name for item in figure.data]
    return found[0]


def test_markers_are_the_complete_searched_trials_with_their_numbers(trials):
    points = trace(optimisation_history(trials, "objective", "mse"), "trials")
    assert list(points.x) == [2, 3, 4, 5]
    assert list(points.y) == [0.5, 0.1, 0.3, 0.1]
    assert [row[0] for row in points.customdata] == [2, 3, 4, 5]


def test_best_so_far_is_the_running_minimum_in_the_order_shown(trials):
    asked = trace(optimisation_history(trials, "objective", "mse"), "best searched so far")
    assert list(asked.y) == [0.5, 0.1, 0.1, 0.1]
    back = trace(optimisation_history(trials, "objective", "mse", order="finish_order"), "best searched so far")
    assert list(back.x) == [2, 3, 4, 5]
    assert list(back.y) == [0.1, 0.1, 0.1, 0.1]


def test_best_so_far_rises_when_more_is_better_and_is_absent_without_a_goal(trials):
    rising = trace(optimisation_history(trials, "metrics.b", "b", goal="maximize"), "best searched so far")
    assert list(rising.y) == [9.0, 9.0, 9.0, 9.0]
    figure = optimisation_history(trials, "metrics.b", "b", goal=None)
    assert "best searched so far" not in [item.name for item in figure.data]


def test_each_baseline_is_a_labelled_line_at_its_value_across_all_trials(trials):
    figure = optimisation_history(trials, "objective", "mse")
    for name, value in (("none", 0.9), ("mv2016", 0.2)):
        line = trace(figure, f"baseline {name}")
        assert list(line.y) == [value, value]
        assert list(line.x) == [0, 7]
    labels = [item.text[0] for item in figure.data if item.mode == "markers+text"]
    assert labels == ["none", "mv2016"]


def test_failed_trials_are_marked_at_their_place_on_an_axis_of_their_own(trials):
    failed = trace(optimisation_history(trials, "objective", "mse"), "failed")
    assert list(failed.x) == [6]
    assert failed.yaxis == "y2"
    assert [row[0] for row in failed.customdata] == [6]


def test_a_logarithmic_axis_leaves_out_what_is_not_positive(trials):
    trials.loc[2, "objective"] = 0.0
    figure = optimisation_history(trials, "objective", "mse", log_y=True)
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis2.type != "log"
    assert list(trace(figure, "trials").x) == [3, 4, 5]


def test_infinite_values_are_never_the_best(trials):
    trials.loc[4, "objective"] = -np.inf
    assert min(trace(optimisation_history(trials, "objective", "mse"), "best searched so far").y) == 0.1


def test_no_finished_trial_gives_an_empty_chart(trials):
    figure = optimisation_history(trials.iloc[7:], "objective", "mse")
    assert len(trace(figure, "trials").x) == 0


def test_stored_names_are_escaped_in_labels(trials):
    trials["baseline"] = pd.Series(["<b>x</b>", "<img src=x>"] + [None] * 6, dtype=object)
    text = optimisation_history(trials, "objective", "<i>mse</i>").to_json()
    for tag in ("<b>x", "<img", "<i>mse"):
        assert tag not in text.replace("\\u003c", "<").replace("\\u003e", ">")
