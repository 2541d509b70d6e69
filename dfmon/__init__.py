"""dfmon: a terminal monitor of dealer flow in crypto options."""

__version__ = "0.1.0"
