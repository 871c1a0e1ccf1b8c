"""Research on grids: backtests through the decision core, their results, pictures and reports."""
