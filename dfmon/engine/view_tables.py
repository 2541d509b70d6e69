"""The numbers of each screen as one table of columns and rows, by its locator: for files, REST and the command line.

A missing number is None. Units: those of the snapshot's fields of the same names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from dfmon.engine.explain import EXPLAINED, explain
from dfmon.engine.explain_terms import TERMS, explain_term
from dfmon.engine.forward_map import forward_map_of
from dfmon.engine.next_settlement import settlement_of
from dfmon.engine.option_volume import flow_cells, volume_cells
from dfmon.engine.vol_surface import ExpiryVol, vol_surface_of
from dfmon.engine.what_if import TickInputs, inputs_of, what_if_of_tick
from dfmon.engine.what_if_arguments import shock_and_params
from dfmon.model.errors import UsageError
from dfmon.model.locator import WHAT_IF, Locator
from dfmon.model.metrics import metrics_at
from dfmon.model.snapshot import Detail, FlowSnapshot
from dfmon.model.tables import PositionRow, Sources
from dfmon.model.units import iso

Cell = str | float | int | bool | None
SNAPSHOT_LAYERS: Final = (*metrics_at("heatmap"), "oi", "iv")
MAP_MOVES: Final = tuple(round(0.005 * step, 3) for step in range(-20, 21))  # of spot
MAP_HOURS: Final = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 24.0, 36.0, 48.0)
_WITHOUT_TABLE: Final = {"chart": "/v1/history and dfmon export have its columns"}


class ViewTable(NamedTuple):
    """A table: names of the columns, and a row of cells for each of them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


TableSource = Callable[[FlowSnapshot, Locator], ViewTable]


def view_table(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """The table of a locator on a snapshot of its coin, under the position model that it names.

    Raises UsageError for a screen without a table, or a snapshot without what it needs.
    """
    if (reason := _WITHOUT_TABLE.get(locator.screen)) is not None:
        raise UsageError(f"{locator.screen} has no table of one moment; {reason}")
    model = locator.get("model")
    return _TABLES[locator.screen](snapshot.view(model) if model else snapshot, locator)


def _table(objects: Iterable[Any], columns: Sequence[str]) -> ViewTable:
    """Attributes of objects; a column is an attribute, or a path of them."""
    getters = [attrgetter(column) for column in columns]
    rows = tuple(tuple(_cell(get(item)) for get in getters) for item in objects)
    return ViewTable(tuple(column.replace(".", "_") for column in columns), rows)


def _cell(value: Any) -> Cell:
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    if isinstance(value, dict):
        return "; ".join(f"{name} {'n/a' if item is None else format(item, '.6g')}" for name, item in value.items())
    return None if isinstance(value, float) and math.isnan(value) else value


def _detail(snapshot: FlowSnapshot) -> Detail:
    if not isinstance(snapshot.detail, Detail):
        raise UsageError("the snapshot came without its tables; the address of a --rest has them, a redis does not")
    return snapshot.detail


def _tick(snapshot: FlowSnapshot) -> TickInputs:
    tick = inputs_of(snapshot)
    if tick is None:
        raise UsageError("the snapshot came without the options of its tick; ask the dfmon that made it by --rest")
    return tick


def _known(found: Any, what: str) -> Any:
    if found is None:
        raise UsageError(f"no {what} of this snapshot: it has no options of its own, or nothing expires")
    return found


def _expiry(locator: Locator, labels: Iterable[str]) -> str | None:
    """The expiry of the locator, if it has one. Raises UsageError with those that there are."""
    label, known = locator.get("expiry"), tuple(dict.fromkeys(labels))
    if label is None or label in known:
        return label
    raise UsageError(f"no expiry {label}, allowed: {', '.join(known) or 'none, the snapshot has no option'}")


def _strike(locator: Locator, strikes: Sequence[float]) -> float | None:
    """The strike of the locator, if it has one. Raises UsageError with the nearest ones that there are."""
    text = locator.get("strike")
    if text is None or float(text) in strikes:
        return None if text is None else float(text)
    nearest = sorted(sorted(strikes, key=lambda level: abs(level - float(text)))[:4])
    raise UsageError(f"no strike {text}, the nearest: {', '.join(f'{level:.12g}' for level in nearest) or 'none'}")


# ---- tables of a snapshot --------------------------------------------------------------------------------------------


def _score(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    score = snapshot.score
    parts = {"tape": score.tape, "taker": score.taker, **{f"coverage {row.name}": row for row in score.coverage}}
    rows = tuple(
        (f"{part} {name}", getattr(struct, name))
        for part, struct in parts.items()
        for name in struct.__struct_fields__
        if name != "name"
    )
    return ViewTable(("name", "value"), rows)


def _main(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """Spot, edges, metrics and the outlook, a line each."""
    below, above = snapshot.regime.below, snapshot.regime.above
    rows: list[tuple[Cell, ...]] = [("spot", snapshot.spot, None, None, "USD")]
    rows += [
        (name, None, None, None, "USD") if edge is None else (name, edge.level, edge.lo, edge.hi, "USD")
        for name, edge in (("edge_below", below), ("edge_above", above))
    ]
    rows += _gauges(snapshot, locator).rows
    rows += [(f"outlook {row.case}", row.value, row.lo, row.hi, "USD, + dealers buy") for row in snapshot.outlook]
    rows.append(("scenario", snapshot.scenario.bucket or None, None, None, snapshot.scenario.name))
    return ViewTable(("name", "value", "lo", "hi", "unit"), tuple(rows))


def _gauges(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    metrics = ((name, getattr(snapshot.metrics, name)) for name in snapshot.metrics.__struct_fields__)
    rows = tuple((name, metric.value, metric.lo, metric.hi, metric.unit) for name, metric in metrics)
    return ViewTable(("name", "value", "lo", "hi", "unit"), rows)


def _heatmap(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """A row a cell that has an option; `layer`, `expiry` and `strike` choose."""
    detail = _detail(snapshot)
    heat, layer = detail.heatmap, locator.get("layer")
    if layer == "change":
        raise UsageError("layer change compares slices that only the screen keeps, allowed in a table: the others")
    names = (layer,) if layer else SNAPSHOT_LAYERS
    cells = {name: heat.layer(name) for name in names if name in SNAPSHOT_LAYERS}
    if layer == "volume":
        cells[layer] = _known(volume_cells(snapshot), "volumes")
    elif layer == "flow":
        cells[layer] = flow_cells(detail)
    expiry, strike = _expiry(locator, heat.expiries), _strike(locator, heat.strikes)
    rows = tuple(
        (level, label, *(cells[name][i][j] for name in names))
        for i, level in enumerate(heat.strikes)
        for j, label in enumerate(heat.expiries)
        if (expiry is None or label == expiry) and (strike is None or level == strike)
        if any(cells[name][i][j] is not None for name in names)
    )
    return ViewTable(("strike", "expiry", *names), rows)


def _profile(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    profile = _detail(snapshot).profile
    unknown = (None,) * len(profile.spots)
    rows = tuple(zip(profile.spots, profile.ngi, profile.lo or unknown, profile.hi or unknown))
    return ViewTable(("spot", "ngi", "lo", "hi"), rows)


def _tape(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    columns = (
        "side", "name", "expiry", "strike", "option_type", "size", "price", "iv", "gamma", "block", "combo", "rfq",
        "premium", "structure",
    )  # fmt: skip
    prints = sorted(_detail(snapshot).tape, key=lambda row: -row.ts_ns)
    table = _table(prints, columns)
    return ViewTable(("ts", *columns), tuple((iso(p.ts_ns), *row) for p, row in zip(prints, table.rows)))


def _alerts(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    columns, alerts = ("kind", "text", "model", "cause"), _detail(snapshot).alerts
    rows = _table(alerts, columns).rows
    return ViewTable(("ts", *columns), tuple((iso(alert.ts_ns), *row) for alert, row in zip(alerts, rows)))


def _positions(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """A row an option, with the origins that add up to its net position."""
    found = _detail(snapshot).positions
    expiry = _expiry(locator, (row.expiry for row in found))
    options = [row for row in found if expiry in (None, row.expiry)]
    columns = (
        "name", "expiry", "strike", "option_type", "open_interest", "net", "lo", "hi", "p_long", "seen", "change",
        "unexplained",
    )  # fmt: skip
    rows = ((*row, *_origins(option)) for option, row in zip(options, _table(options, columns).rows, strict=True))
    return ViewTable((*columns, *Sources.__struct_fields__), tuple(rows))


def _origins(option: PositionRow) -> tuple[Cell, ...]:
    names = Sources.__struct_fields__
    return tuple(None if option.sources is None else getattr(option.sources, name) for name in names)


def _coins(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """The line of one coin; REST and the screen have one for each."""
    columns = ("underlying", "spot", "state", "regime.side", "scenario.bucket", "scenario.name", "positions.coverage")
    return _table([snapshot], columns)


def _transitions(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    return _table(_detail(snapshot).transitions, ("ts", "model", "before", "after", "reasons", "features"))


def _feeds(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    columns = ("name", "state", "age_s", "lag_ms", "frames", "rejected", "reconnects", "note")
    return _table(snapshot.feeds, columns)


# ---- tables that are computed ----------------------------------------------------------------------------------------


def _forward(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    drawn = _known(forward_map_of(snapshot, np.array(MAP_MOVES), np.array(MAP_HOURS)), "forward map")
    spot = snapshot.spot or 0.0
    rows = tuple(
        (hours, spot * (1.0 + move), move, *(_cell(float(part[i, j])) for part in (drawn.trade, drawn.lo, drawn.hi)))
        for j, hours in enumerate(MAP_HOURS)
        for i, move in enumerate(MAP_MOVES)
    )
    return ViewTable(("hours", "spot", "move", "trade", "lo", "hi"), rows)


def _settlement(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    found = _known(settlement_of(snapshot), "settlement")
    return _table(found.strikes, ("strike", "calls", "puts", "net", "above", "hedge", "at_window", "pin"))


def _surface(snapshot: FlowSnapshot) -> Sequence[ExpiryVol]:
    surface: Sequence[ExpiryVol] = _known(vol_surface_of(snapshot), "volatilities")
    return surface


def _vol(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    columns = (
        "label", "hours", "forward", "basis", "atm", "change", "forward_vol", "rr25", "bf25", "calls", "puts",
        "gamma_share", "max_pain",
    )  # fmt: skip
    return _table(_surface(snapshot), columns)


def _smile(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """The strikes of `expiry`, of the first one without it."""
    surface = _surface(snapshot)
    label = _expiry(locator, (row.label for row in surface))
    row = next(row for row in surface if label in (None, row.label))
    columns = (
        "strike", "delta", "bid", "mark", "ask", "change", "calls", "puts", "net", "lo", "hi", "customer_vega",
        "residual",
    )  # fmt: skip
    return _table(row.strikes, columns)


def _what_if(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    tick = _tick(snapshot)
    changes = [(name, value) for name, value in locator.parameters if name in WHAT_IF]
    shock, params = shock_and_params(changes, tick.params)
    try:
        found = what_if_of_tick(tick, shock, params)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return _table(found.rows, found.rows[0].__struct_fields__)


def _explain(snapshot: FlowSnapshot, locator: Locator) -> ViewTable:
    """The lines of the explanation of `name`."""
    name, tick = locator.get("name") or "ngi", _tick(snapshot)
    if name not in EXPLAINED and name not in TERMS:
        raise UsageError(f'nothing is explained under "{name}", allowed: {", ".join((*EXPLAINED, *TERMS))}')
    found = explain(tick, name) if name in EXPLAINED else explain_term(tick, name)
    return ViewTable(("line",), tuple((line,) for line in str(found).splitlines()))


_TABLES: Final[Mapping[str, TableSource]] = {
    "main": _main,
    "heatmap": _heatmap,
    "gauges": _gauges,
    "tape": _tape,
    "profile": _profile,
    "alerts": _alerts,
    "positions": _positions,
    "coins": _coins,
    "forward": _forward,
    "settlement": _settlement,
    "vol": _vol,
    "smile": _smile,
    "transitions": _transitions,
    "feeds": _feeds,
    "what-if": _what_if,
    "explain": _explain,
    "score": _score,
}
TABLE_SCREENS: Final = tuple(_TABLES)
