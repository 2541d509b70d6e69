"""Scratch of the closed forms, and the sizes in it that tell whether a chain is in order."""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple

import numpy as np

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.normal import TailScratch, contiguous_view

MAX_SIGMA: Final = 20.0
MAX_LOG_MONEYNESS: Final = 3.9  # below F = K/50 the quotient rounds too coarsely for log1p(F/K - 1)
NODES: Final = ((1.0, 1.5, 7), (2.8, 3.0, 10), (5.0, MAX_LOG_MONEYNESS, 16))
"""Largest w, largest |ln(F/K)| and the Gauss-Legendre nodes that leave an error below 3e-15 up to there."""
_MAX_NODES: Final = NODES[-1][2]


def _bits(size: float) -> int:
    """The bits of a number as an integer: they ascend with positive numbers; negative ones and NaN are beyond."""
    return int(np.array(size).view(np.uint64))


_LARGEST_DISTANCE, _LARGEST_FORWARD, _LARGEST_X = _bits(1e20), _bits(1e100), _bits(MAX_LOG_MONEYNESS)
_NODE_LIMITS: Final = tuple((_bits(w), _bits(abs_x), count) for w, abs_x, count in NODES)
_NORMAL_DENSITY: Final = _bits(26.0)
"""In units of |h + t|."""


class Workspace:
    """Scratch of the closed forms. Afterwards x = ln(F/K), d1 = h + t, minus_d2 = t - h, tail = N(-|d1|).

    The rows are those of `closed_forms.aligned_rows`. The largest bits of `size_rows` say whether all options are in
    order: of w, F sqrt(2T), |ln(F/K)|, 1 and |d1|; a negative number and a NaN have larger bits than any limit.
    """

    __slots__ = (
        "abs_x",
        "d1",
        "decay",
        "density",
        "excess",
        "exponents",
        "forward_root",
        "h",
        "minus_d2",
        "node_rows",
        "root",
        "scratch",
        "size_rows",
        "spare",
        "t",
        "t_squared",
        "tail",
        "w",
        "x",
        "x_and_t_squared",
    )  # fmt: skip
    ROWS: ClassVar = 3 + TailScratch.ROWS + 2 + _MAX_NODES + 10

    def __init__(self, rows: F64) -> None:
        self.w, self.forward_root, self.abs_x = rows[:3]
        self.size_rows = rows[:5].view(np.uint64)
        tail_end = 3 + TailScratch.ROWS
        node_end = tail_end + 2 + _MAX_NODES
        self.scratch = TailScratch(rows[3:tail_end])
        self.x_and_t_squared = rows[tail_end : tail_end + 2]
        self.x, self.t_squared = self.x_and_t_squared
        self.node_rows = rows[tail_end + 2 : node_end]
        self.exponents = {count: contiguous_view(self.node_rows[:count]) for _, _, count in NODES}
        (
            self.h, self.t, self.d1, self.minus_d2, self.root, self.excess, self.decay, self.density, self.spare,
            self.tail,
        ) = rows[node_end:]  # fmt: skip


class Sizes(NamedTuple):
    """Bits of the largest w, |ln(F/K)| and |h + t| of a chain."""

    w: int
    abs_x: int
    abs_d1: int

    @property
    def nodes(self) -> int | None:
        """Nodes that price the chain; None where that needs other formulas."""
        return next((count for w, abs_x, count in _NODE_LIMITS if self.w <= w and self.abs_x <= abs_x), None)

    @property
    def normal_density(self) -> bool:
        """True where no density is a subnormal number, and so no price comes out below 0 by rounding."""
        return self.abs_d1 <= _NORMAL_DENSITY


def sizes_in_domain(sigma: F64, work: Workspace) -> Sizes | None:
    """Largest sizes where every option is in order, else None.

    Shapes: (n,).
    Domain: after `fill_distances`. What gets through all the same ends in gamma or charm as NaN or infinity.
    """
    w, forward_root, abs_x, _, abs_d1 = np.maximum.reduce(work.size_rows, 1).tolist()
    in_domain = (
        w <= _LARGEST_DISTANCE
        and forward_root <= _LARGEST_FORWARD
        and abs_x <= _LARGEST_X
        and abs_d1 <= _LARGEST_DISTANCE
        and np.maximum.reduce(sigma) <= MAX_SIGMA
    )
    return Sizes(w, abs_x, abs_d1) if in_domain else None
