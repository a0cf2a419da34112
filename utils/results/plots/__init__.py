"""The figures of a run. Each figure of the report is one function, decorated with its heading and caption.

=============================================  =============================================================
`draw`, `Subject`                              all figures of a finished model, and the data for them
`figure`                                       decorator of a function ``(subject) -> matplotlib figure``
`FIGURES`                                      the figures of the report by name, in order
`plot_curves`, `curves_of_runs`, `rate_range`  curves outside the report
`heat_map`                                     errors of several models on several sets
=============================================  =============================================================
"""

from utils.results.plots.drawing import FIGURES, Subject, draw, figure, save  # isort: skip

# In the order of the report.
from utils.results.plots.curves import curves_of_runs, plot_curves, rate_range  # isort: skip
from utils.results.plots import answers, network, reconstructions, histograms  # isort: skip
from utils.results.plots.matrix import heat_map  # isort: skip

__all__ = [
    'FIGURES',
    'Subject',
    'answers',
    'curves_of_runs',
    'draw',
    'figure',
    'heat_map',
    'histograms',
    'network',
    'plot_curves',
    'rate_range',
    'reconstructions',
    'save',
]
