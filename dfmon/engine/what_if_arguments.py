"""The arguments of a what-if as names and values in text: of the screen's `:what-if` and of a REST query."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from dfmon.core.exposure.desks import Desk
from dfmon.core.step import FlowParams
from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.model.what_if import Shock

USAGE: Final = "spot 2  vol 5  hours 24  positions short-all  numeraire coin  stickiness moneyness  share 0.4  law sqrt"


def _number(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text.removesuffix("%"))
        if not lowest <= value <= highest:
            raise ValueError
        return value

    return parse


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return parse


def _desks(text: str) -> tuple[Desk, ...]:
    desks = tuple(Desk(*map(float, desk.split(":"))) for desk in text.split(","))
    if not all(desk.in_range for desk in desks) or abs(sum(desk.share for desk in desks) - 1.0) > 1e-9:
        raise ValueError
    return desks


SHOCK_RANGES: Final = {"spot": (-95.0, 1_000.0), "vol": (-500.0, 500.0), "hours": (0.0, 87_600.0)}

# name -> (field of the shock or of the parameters, its parser, what is allowed)
SHOCKS: Final[dict[str, tuple[str, Callable[[str], float], str]]] = {
    "spot": ("spot_pct", _number(*SHOCK_RANGES["spot"]), "per cent from -95 to 1000"),
    "vol": ("vol_points", _number(*SHOCK_RANGES["vol"]), "points from -500 to 500"),
    "hours": ("hours", _number(*SHOCK_RANGES["hours"]), "hours from 0 to 87600"),
}
ASSUMPTIONS: Final[dict[str, tuple[str, Callable[[str], Any], str]]] = {
    "positions": ("positions", _choice("flow", "naive", "short-all", "file"), "flow, naive, short-all or file"),
    "numeraire": ("numeraire", _choice("usd", "coin"), "usd or coin"),
    "stickiness": ("stickiness", _choice("strike", "moneyness"), "strike or moneyness"),
    "share": ("venue_share", _number(0.01, 1.0), "a share from 0.01 to 1"),
    "law": ("impact_law", _choice("linear", "sqrt"), "linear or sqrt"),
    "desks": ("desks", _desks, "SHARE:RATIO:COST,… with shares that add up to 1 and ratios up to 2"),
}


def parse_what_if(text: str, params: FlowParams) -> tuple[Shock, FlowParams]:
    """The shock and the parameters after it. Raises UsageError with what is allowed.

    >>> parse_what_if("spot -2 vol=5 law sqrt", FlowParams())[0]
    Shock(spot_pct=-2.0, vol_points=5.0, hours=0.0)
    """
    return shock_and_params(split_arguments(text).items(), params)


def split_arguments(text: str) -> dict[str, str]:
    """Values by name, unread. Raises UsageError where a name has no value."""
    tokens = text.replace("=", " ").split()
    if not tokens or len(tokens) % 2:
        raise UsageError(f"usage: what-if {USAGE}")
    return dict(zip(tokens[::2], tokens[1::2]))


def shock_and_params(arguments: Iterable[tuple[str, str]], params: FlowParams) -> tuple[Shock, FlowParams]:
    """The shock and the parameters after it, from names and values. Raises UsageError with what is allowed."""
    shock: dict[str, float] = {}
    assumed: dict[str, Any] = {}
    for name, value in arguments:
        target, table = (shock, SHOCKS) if name in SHOCKS else (assumed, ASSUMPTIONS)
        if name not in table:
            raise UsageError(f'unknown word "{sanitize(name, 20)}": {", ".join((*SHOCKS, *ASSUMPTIONS))}')
        field, parse, allowed = table[name]
        try:
            target[field] = parse(value)
        except (ValueError, TypeError):
            raise UsageError(f'invalid {name} "{sanitize(value, 20)}": {allowed}') from None
    if assumed.get("positions") == "file" and params.file_positions is None:
        raise UsageError("positions file: no file of positions is given")
    return Shock(**shock), msgspec.structs.replace(params, **assumed)


def unchanged_arguments(params: FlowParams) -> dict[str, str]:
    """The arguments of a what-if that changes nothing.

    >>> unchanged_arguments(FlowParams())["desks"]
    '1:1:0'
    """
    desks = ",".join(":".join(f"{number:g}" for number in msgspec.structs.astuple(desk)) for desk in params.desks)
    return {
        **dict.fromkeys(SHOCKS, "0"),
        "positions": params.positions,
        "numeraire": params.numeraire,
        "stickiness": params.stickiness,
        "share": f"{params.venue_share:g}",
        "law": params.impact_law,
        "desks": desks,
    }
