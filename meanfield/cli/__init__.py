"""The command line: ``meanfield eoc tanh --sigma-b 0:1:0.1``.

Lives here: reading arguments, printing tables, JSON and CSV, writing figures, exit statuses.
Not here: any computation. NumPy, rich and Matplotlib are imported by the commands that use them, so that ``--help`` is quick.
"""

from meanfield.cli.entry import main

__all__ = ["main"]
