import pytest

from dashboard.charts import parameter_scatter


def named(figure, name):
    return next(item for item in figure.data if item.name == name)


def test_points_are_the_searched_trials_at_their_parameter(trials):
    figure = parameter_scatter(trials, "weight", "objective", "mse", scale="log")
    points = named(figure, "trials")
    assert list(points.x) == [1e-3, 1e-1, 1.0, 10.0]
    assert list(points.y) == [0.5, 0.1, 0.3, 0.1]
    assert [row[0] for row in points.customdata] == [2, 3, 4, 5]
    assert figure.layout.xaxis.type == "log"


def test_the_ring_is_on_the_trial_that_is_given(trials):
    ring = named(parameter_scatter(trials, "weight", "objective", "mse", scale="log", best=3), "best")
    assert (list(ring.x), list(ring.y)) == ([1e-1], [0.1])
    figure = parameter_scatter(trials, "weight", "objective", "mse", scale="log")
    assert "best" not in [item.name for item in figure.data]


def test_a_baseline_without_a_place_on_the_axis_is_a_line_at_its_value(trials):
    figure = parameter_scatter(trials, "weight", "objective", "mse", scale="log")
    assert sorted(shape.y0 for shape in figure.layout.shapes) == [0.2, 0.9]


def test_a_baseline_with_a_place_is_a_marker_there(trials):
    figure = parameter_scatter(trials, "size", "objective", "mse", scale="linear")
    mark = named(figure, "baseline mv2016")
    assert (list(mark.x), list(mark.y)) == ([8.0], [0.2])
    assert [shape.y0 for shape in figure.layout.shapes] == [0.9]


@pytest.mark.parametrize(
    ("parameter", "ticks"), [("expert", ["logistic", "student_t"]), ("size", ["5", "8", "12"])], ids=["text", "numbers"]
)
def test_choices_are_strips_in_order_and_points_stay_within_their_strip(trials, parameter, ticks):
    figure = parameter_scatter(trials, parameter, "objective", "mse", scale="choice")
    assert list(figure.layout.xaxis.ticktext) == ticks
    points = named(figure, "trials")
    for place, row in zip(points.x, points.customdata, strict=True):
        assert abs(place - ticks.index(row[1])) < 0.25


def test_trials_of_one_choice_do_not_cover_each_other(trials):
    points = named(parameter_scatter(trials, "expert", "objective", "mse", scale="choice"), "trials")
    assert len(set(points.x)) == len(points.x)


def test_stored_values_are_escaped(trials):
    trials.loc[2, "params.expert"] = "<script>alert(1)</script>"
    figure = parameter_scatter(trials, "expert", "objective", "mse", scale="choice")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in figure.layout.xaxis.ticktext
    assert not any("<script" in str(row[1]) for row in named(figure, "trials").customdata)
