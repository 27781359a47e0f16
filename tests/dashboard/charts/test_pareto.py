import numpy as np
import pytest

from dashboard.charts import pareto_scatter
from dashboard.charts.pareto import on_front


def test_front_of_a_hand_made_case_with_mixed_goals():
    values = np.array([[1.0, 1.0], [2.0, 5.0], [3.0, 4.0], [2.0, 5.0], [0.5, 0.0]])
    assert on_front(values, ["minimize", "maximize"]).tolist() == [True, True, False, True, True]


def test_no_row_of_the_front_is_dominated_and_every_other_row_is():
    values = np.random.default_rng(0).normal(size=(60, 3))
    front = on_front(values, ["minimize"] * 3)

    def dominated(row):
        return any((other <= row).all() and (other < row).any() for other in values)

    assert front.any()
    assert [not dominated(row) for row in values] == front.tolist()


def test_the_front_is_drawn_in_order_over_complete_trials(trials):
    figure = pareto_scatter(trials, ["a", "b"], ["minimize", "minimize"])
    line = next(item for item in figure.data if item.name == "Pareto front")
    assert (list(line.x), list(line.y)) == ([0.1, 0.9], [2.0, 1.0])
    assert [row[0] for row in line.customdata] == [5, 0]
    points = next(item for item in figure.data if item.name == "trials")
    assert sorted(row[0] for row in points.customdata) == [2, 3, 4, 5]


def test_a_third_metric_is_the_colour(trials):
    trials["metrics.c"] = trials["number"] * 1.0
    figure = pareto_scatter(trials, ["a", "b", "c"], ["minimize"] * 3)
    points = next(item for item in figure.data if item.name == "trials")
    assert list(points.marker.color) == [2.0, 3.0, 4.0, 5.0]
    assert "Pareto front" not in [item.name for item in figure.data]


@pytest.mark.parametrize("goals", [["minimize", "maximize"], ["maximize", "minimize"]])
def test_axis_titles_say_which_way_is_better(trials, goals):
    figure = pareto_scatter(trials, ["a", "b"], goals)
    words = {"minimize": "lower", "maximize": "higher"}
    assert figure.layout.xaxis.title.text == f"a ({words[goals[0]]} is better)"
    assert figure.layout.yaxis.title.text == f"b ({words[goals[1]]} is better)"
