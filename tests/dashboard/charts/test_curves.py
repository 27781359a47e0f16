import numpy as np
import pandas as pd

from dashboard.charts import loss_curves

CURVES = pd.DataFrame(
    {
        "name": ["total", "total", "total", "feature", "feature"],
        "step": [20, 0, 10, 0, 10],
        "value": [0.5, 2.0, 1.0, 1.5, 0.0],
    }
)


def test_one_line_a_loss_in_the_order_of_steps():
    figure = loss_curves(CURVES, log_y=False)
    assert [line.name for line in figure.data] == ["feature", "total"]
    assert list(figure.data[1].x) == [0, 10, 20]
    assert list(figure.data[1].y) == [2.0, 1.0, 0.5]


def test_zero_leaves_a_gap_on_a_logarithmic_axis_only():
    assert np.isnan(loss_curves(CURVES, log_y=True).data[0].y[1])
    assert loss_curves(CURVES, log_y=True).layout.yaxis.type == "log"
    assert loss_curves(CURVES, log_y=False).data[0].y[1] == 0.0


def test_names_are_escaped():
    assert loss_curves(CURVES.assign(name="<b>x")).data[0].name == "&lt;b&gt;x"
