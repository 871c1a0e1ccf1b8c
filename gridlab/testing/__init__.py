"""What GridLab's own tests stand on, for everybody's: Hypothesis strategies and a paper run.

* `gridlab.testing.strategies`: instruments, fees, grids that start, price paths.
* `gridlab.testing.paper_run`: one grid against one paper venue, without clock, loop or disk.

Needs Hypothesis for the first. Nothing outside this package imports it.
"""
