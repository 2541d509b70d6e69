"""The metrics of dfmon, one row each: unit, sign, and where the number is published.

A row of EXPOSURES is a sum over the book, dealer position times what one coin of the option is worth. The worth is the
function of the same name in `core/exposure/kernels.py`; the rest of the program iterates over this table. A row of
DERIVED is computed from those sums by a function of its own, in `core/snapshot/metric_values.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec

CallPutEquality = Literal["always", "beyond a day", "never"]
Place = Literal["text", "by_expiry", "by_strike", "heatmap", "history", "gauge"]
EVERYWHERE: Final[frozenset[Place]] = frozenset(get_args(Place))


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric.

    `unit` and `sign` are published with every value; `unit` begins with its currency. `formula` is written in D (dealer
    position in coins, + long), F (forward), T (years) and the greeks of Black-76.

    `same_for_call_and_put`: one coin of a call has the value of one coin of the put of its strike and expiry. "beyond a
    day": only while they have more than a day to live. Elsewhere the two are priced apart.

    `places`: "text" is the plain-text snapshot, "history" the columns of the history and the fields of the Redis
    stream, "gauge" the gauges and the table of position models. The JSON object has every metric.
    """

    name: str
    title: str
    formula: str
    unit: str
    sign: str
    same_for_call_and_put: CallPutEquality = "never"
    places: frozenset[Place] = EVERYWHERE


EXPOSURES: Final = (
    MetricSpec(
        "ngi",
        "net gamma impact",
        "sum D gamma F^2 0.01",
        unit="USD/+1%",
        sign="+ dealers sell a rise, - they buy it",
        same_for_call_and_put="always",
    ),
    MetricSpec(
        "vss",
        "vanna",
        "sum D vanna F 0.01",
        unit="USD/+1 vol pt",
        sign="+ dealers sell as vol rises, - they buy",
        same_for_call_and_put="always",
    ),
    MetricSpec(
        "chl",
        "charm load, by full reprice",
        "sum D F [delta(T - h) - delta(T)], h = 1 d or until settlement begins",
        unit="USD/24h",
        sign="+ dealers sell as time passes, - buy",
        same_for_call_and_put="always",
    ),
    MetricSpec(
        "volg",
        "volga",
        "sum D volga 1e-4",
        unit="USD vega/+1 vol pt",
        sign="+ they gain vega as vol rises, - lose it",
        same_for_call_and_put="always",
    ),
    MetricSpec(
        "vega",
        "vega",
        "sum D vega 0.01",
        unit="USD/vol pt",
        sign="+ dealers gain as vol rises, - they lose",
        same_for_call_and_put="always",
        places=frozenset(),
    ),
    MetricSpec(
        "theta",
        "theta",
        "sum D theta / 365",
        unit="USD/day",
        sign="+ dealers earn as a day passes, - they pay",
        same_for_call_and_put="always",
        places=frozenset(),
    ),
    MetricSpec(
        "unwind",
        "hedge lifted at the settlements of the next 24 h",
        "sum w D F delta, T <= 1 d, w = share of the average still open",
        unit="USD",
        sign="+ dealers buy at settlement, - they sell",
        same_for_call_and_put="beyond a day",
        places=frozenset({"text", "by_expiry"}),
    ),
    MetricSpec(
        "chl_1h",
        "charm load of an hour",
        "as chl, h = 1 h or until settlement begins",
        unit="USD/1h",
        sign="+ dealers sell as time passes, - buy",
        same_for_call_and_put="always",
        places=frozenset(),
    ),
    MetricSpec(
        "unwind_at_window",
        "unwind as it will be when settlement begins",
        "as unwind, delta(30 min)",
        unit="USD",
        sign="+ dealers buy at settlement, - they sell",
        same_for_call_and_put="beyond a day",
        places=frozenset(),
    ),
    MetricSpec(
        "unwind_left",
        "hedge that the settlement under way has yet to lift",
        "as unwind, T <= 30 min",
        unit="USD",
        sign="+ dealers buy until settlement, - they sell",
        same_for_call_and_put="beyond a day",
        places=frozenset(),
    ),
    # a new exposure goes here, at the end: the history numbers its columns by this order
)

DERIVED: Final = (
    MetricSpec(
        "hpp",
        "hedge pressure",
        "sign(dS) NGI + a VSS + b CHL",
        unit="USD/+1%",
        sign="+ dealers must sell, - they must buy",
        places=frozenset({"text", "history"}),
    ),
    MetricSpec(
        "psi",
        "net gamma against market depth",
        "NGI / depth within 1 %",
        unit="NGI/depth",
        sign="+ hedging damps moves, - amplifies them",
        places=frozenset({"text", "history"}),
    ),
    MetricSpec(
        "hedge_flow",
        "re-hedging of the last 15 minutes",
        "-sum D F [delta now - delta then], each option with its own F, sigma, T",
        unit="USD/15min",
        sign="+ dealers bought, - they sold",
        places=frozenset({"text"}),
    ),
)

METRICS: Final = {spec.name: spec for spec in (*EXPOSURES, *DERIVED)}
EXPOSURE_NAMES: Final = tuple(spec.name for spec in EXPOSURES)
EXPOSURE_INDEX: Final = {name: row for row, name in enumerate(EXPOSURE_NAMES)}


def metrics_at(place: Place) -> tuple[str, ...]:
    """Names of the metrics published there, in the order of the tables."""
    return tuple(spec.name for spec in METRICS.values() if place in spec.places)


_Struct = TypeVar("_Struct", bound=type[msgspec.Struct])


def metric_fields(
    place: Place | None, type_and_default: Callable[[MetricSpec], tuple[Any, Any]]
) -> Callable[[_Struct], _Struct]:
    """Class decorator: appends a field to a msgspec.Struct for each metric that the class does not declare.

    The metrics are those published at `place`, or all exposures. A type checker sees the declared fields.
    """
    names = EXPOSURE_NAMES if place is None else metrics_at(place)

    def extend(cls: _Struct) -> _Struct:
        missing = [METRICS[name] for name in names if name not in cls.__struct_fields__]
        fields = [(spec.name, *type_and_default(spec)) for spec in missing]
        if not fields:
            return cls
        docstring = {"__doc__": cls.__doc__}
        return msgspec.defstruct(  # type: ignore[return-value]  # its stub returns any Struct
            cls.__name__, fields, bases=(cls,), module=cls.__module__, namespace=docstring, frozen=True
        )

    return extend
