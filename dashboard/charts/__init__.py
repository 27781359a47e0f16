"""Charts: pure functions from frames of the store's reader to Plotly figures."""

from dashboard.charts.curves import loss_curves
from dashboard.charts.history import optimisation_history
from dashboard.charts.pareto import pareto_scatter
from dashboard.charts.scatter import parameter_scatter

__all__ = ["loss_curves", "optimisation_history", "parameter_scatter", "pareto_scatter"]
