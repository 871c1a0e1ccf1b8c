"""Live widgets for notebooks and Voila, over an HTTP client or the engine in this process.

Light on purpose: importing this loads neither pandas nor torch nor plotly, so that each viewer of a
dashboard costs a small kernel.
"""

from gridlab.widgets.chart import LiveChart
from gridlab.widgets.markup import error_page
from gridlab.widgets.panel import BotPanel, dashboard, live

__all__ = ["BotPanel", "LiveChart", "dashboard", "error_page", "live"]
