"""Markets whose price feels the hedges of its dealers, by minutes and without sockets.

`psi_market` draws psi and forced orders alone; `book_market` has an option book from which psi follows. Both give
`MinutePath`s, whose true coefficient of psi is known: -response.
"""

from __future__ import annotations

from dfmon.sim.feedback.book_market import BookSpec, simulate_book
from dfmon.sim.feedback.minute_path import MinutePath
from dfmon.sim.feedback.psi_market import PsiSpec, simulate_psi

__all__ = ["BookSpec", "MinutePath", "PsiSpec", "simulate_book", "simulate_psi"]
