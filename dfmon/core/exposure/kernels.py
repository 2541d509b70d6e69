"""The exposures of +1 coin of each option: one kernel a row of `model.metrics.EXPOSURES`, found by its name.

Comes after greek_calc; unit_exposure runs all kernels on one priced chain. A kernel writes its column, (n,) in the unit
of its row, into `out`; what is not finite there is masked by the caller. The order of products fixes the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dfmon.core.pricing.black import F64
from dfmon.core.pricing.greek_buffers import Greeks
from dfmon.core.pricing.settlement import DAY
from dfmon.model.metrics import EXPOSURE_NAMES

_HUNDREDTH, _SQUARED_HUNDREDTH, _DAY = (np.array(x) for x in (0.01, 1e-4, DAY))  # as closed_forms' constants


class PricedOptions(NamedTuple):
    """A chain, its greeks now, and its delta after a day and after an hour at the same forward and volatility.

    Both stop at the beginning of the option's own settlement window, and inside it they are the delta of now.
    """

    forward: F64
    strike: F64
    sigma: F64
    tau: F64
    option_type: F64
    greeks: Greeks
    delta_in_day: F64
    delta_in_hour: F64
    expiring: NDArray[np.intp]
    """Rows with a day or less to live, which have not expired."""
    settling: NDArray[np.intp]
    """Rows inside their settlement window, and those that have expired."""


Kernel: TypeAlias = Callable[[PricedOptions, F64], None]


# ---- one kernel a row of the table, in its order ---------------------------------------------------------------------


def ngi(chain: PricedOptions, out: F64) -> None:
    """USD of delta per +1 % of the forward."""
    np.multiply(chain.forward, _HUNDREDTH, out)
    np.multiply(out, chain.forward, out)
    np.multiply(out, chain.greeks.gamma, out)


def vss(chain: PricedOptions, out: F64) -> None:
    """USD of delta per +1 vol point."""
    np.multiply(chain.forward, _HUNDREDTH, out)
    np.multiply(out, chain.greeks.vanna, out)


def chl(chain: PricedOptions, out: F64) -> None:
    """USD of delta over the next 24 h or up to the settlement window, by full reprice."""
    np.subtract(chain.delta_in_day, chain.greeks.delta, out)
    np.multiply(out, chain.forward, out)


def volg(chain: PricedOptions, out: F64) -> None:
    """USD of vega per point, per +1 vol point."""
    np.multiply(chain.greeks.volga, _SQUARED_HUNDREDTH, out)


def vega(chain: PricedOptions, out: F64) -> None:
    """USD per vol point."""
    np.multiply(chain.greeks.vega, _HUNDREDTH, out)


def theta(chain: PricedOptions, out: F64) -> None:
    """USD per calendar day."""
    np.multiply(chain.greeks.theta, _DAY, out)


def unwind(chain: PricedOptions, out: F64) -> None:
    """USD of hedge that settlement lifts within 24 h."""
    _hedge_of(chain.expiring, chain.forward, chain.greeks.delta, out)


def chl_1h(chain: PricedOptions, out: F64) -> None:
    """USD of delta over the next hour or up to the settlement window, by full reprice."""
    np.subtract(chain.delta_in_hour, chain.greeks.delta, out)
    np.multiply(out, chain.forward, out)


def unwind_at_window(chain: PricedOptions, out: F64) -> None:
    """USD of hedge that settlement lifts within 24 h, as it will be when the window begins."""
    _hedge_of(chain.expiring, chain.forward, chain.delta_in_day, out)


def unwind_left(chain: PricedOptions, out: F64) -> None:
    """USD of hedge not yet lifted of the options that are being settled."""
    rows = chain.settling
    _hedge_of(rows[chain.tau[rows] > 0.0], chain.forward, chain.greeks.delta, out)


def _hedge_of(rows: NDArray[np.intp], forward: F64, delta: F64, out: F64) -> None:
    """USD of delta in these rows, 0 in the others."""
    out[:] = 0.0
    out[rows] = forward[rows] * delta[rows]


# ---- found by name ---------------------------------------------------------------------------------------------------


def kernels_by_name(names: Iterable[str]) -> dict[str, Kernel]:
    """The kernel of each name, in the same order. Raises LookupError for a metric without one."""
    kernels: dict[str, Kernel] = {}
    for name in names:
        if name not in globals():
            raise LookupError(f"exposure {name!r} has no kernel: {__name__}.{name} is missing")
        kernels[name] = globals()[name]
    return kernels


KERNELS: Final = kernels_by_name(EXPOSURE_NAMES)
