import pytest

from dashboard.charts import pareto_scatter


def test_the_front_is_drawn_in_order_over_complete_trials(trials):
    figure = pareto_scatter(trials, ["a", "b"], ["minimize", "minimize"], [5, 0])
    line = next(item for item in figure.data if item.name == "Pareto front")
    assert (list(line.x), list(line.y)) == ([0.1, 0.9], [2.0, 1.0])
    assert [row[0] for row in line.customdata] == [5, 0]
    ring = next(item for item in figure.data if item.name == "on the front")
    assert [row[0] for row in ring.customdata] == [5, 0]
    points = next(item for item in figure.data if item.name == "trials")
    assert sorted(row[0] for row in points.customdata) == [2, 3, 4, 5]


def test_a_third_metric_is_the_colour(trials):
    trials["metrics.c"] = trials["number"] * 1.0
    figure = pareto_scatter(trials, ["a", "b", "c"], ["minimize"] * 3, [5])
    points = next(item for item in figure.data if item.name == "trials")
    assert list(points.marker.color) == [2.0, 3.0, 4.0, 5.0]
    assert "Pareto front" not in [item.name for item in figure.data]


@pytest.mark.parametrize("goals", [["minimize", "maximize"], ["maximize", "minimize"]])
def test_axis_titles_say_which_way_is_better(trials, goals):
    figure = pareto_scatter(trials, ["a", "b"], goals, [])
    words = {"minimize": "lower", "maximize": "higher"}
    assert figure.layout.xaxis.title.text == f"a ({words[goals[0]]} is better)"
    assert figure.layout.yaxis.title.text == f"b ({words[goals[1]]} is better)"
