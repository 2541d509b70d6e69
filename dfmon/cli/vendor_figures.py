"""Text of a third party's published figures beside what its convention gives and beside dfmon's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dfmon.evidence.conventions import DFMON
from dfmon.evidence.level_conventions import DFMON_LEVELS
from dfmon.evidence.published import Published
from dfmon.evidence.vendor_comparison import Cell, ComparedColumn, compare_published
from dfmon.model.units import iso

_SHOWN_OPTIONS = 5
_KINDS = {
    "net": "net of the expiry",
    "calls": "its calls",
    "puts": "its puts",
    "positive": "its strikes with a positive net",
    "negative": "its strikes with a negative net",
}


def figure_lines(published: Published) -> Iterator[str]:
    """The comparison: what contradicts itself first, then each column of the file."""
    chain = published.chain
    expiries = np.unique(chain.group).size
    yield (
        f"{published.vendor}, {iso(published.ts_ns)[:16]}, spot {chain.spot:,.2f}: "
        f"{chain.strike.size:,} options of {expiries} expiries are compared"
    )
    yield from (f"  CONTRADICTION: {sentence}" for sentence in published.conflicts)
    found = compare_published(published)
    columns = [*found.sums, *found.levels, *found.options]
    different, cells = sum(len(c.different) for c in columns), sum(len(c.cells) for c in columns)
    verdict = "all reproduced to every digit" if not different else f"{cells - different:,} reproduced to every digit"
    yield f"  {cells:,} figures in {len(columns)} columns, {verdict}"
    yield from (
        f"  DIFFERENT: {c.name} of {_different(c, cell)}" for c in found.sums + found.levels for cell in c.different
    )
    yield f"  dfmon's naive model is {DFMON}"
    yield from (f"  {published.vendor} {sentence}" for sentence in found.choices)
    if not np.isfinite(chain.forward).any():
        yield "  the file has no forwards: dfmon's figures here stand on spot"
    for column in found.sums:
        yield from _table(column, "dfmon, M USD/1 %", 1e-6)
    for column in found.levels:
        yield from _table(column, "dfmon", 1.0)
    for column in found.options:
        yield from _by_option(column)
    for fact in published.facts:
        verdict = (
            "as in its options" if fact.published == fact.found else f"CONTRADICTION: its options give {fact.found}"
        )
        yield f"  {fact.name} {fact.published}: {verdict}"
    yield from (f"  left out: {note}" for note in published.notes)


def _different(column: ComparedColumn, cell: Cell) -> str:
    reproduced = "" if cell.reproduced is None else f", reproduced {cell.reproduced:,.9g}"
    return f"{cell.name} is {cell.published:,.9g}{reproduced}: {cell.cause}"


def _table(column: ComparedColumn, own: str, unit: float) -> Iterator[str]:
    is_level = column.kind in DFMON_LEVELS
    what = column.kind if is_level else _KINDS[column.kind]
    yield f"\n  {column.name}, {what}: {column.convention}"
    if is_level:
        yield f"    dfmon's is {DFMON_LEVELS[column.kind]}; {_distance(column.cells)}"
    digits, own_digits = (4, 2) if is_level else (9, 4)
    yield f"  {'':<14}{'published':>20}{'reproduced':>20}{own:>20}"
    for cell in column.cells:
        mark = "  DIFFERENT" if cell.cause else ""
        yield (
            f"  {cell.name:<14}{cell.published:>20.{digits}f}{_number(cell.reproduced, 1.0, digits):>20}"
            f"{_number(cell.own, unit, own_digits):>20}{mark}"
        )


def _distance(cells: Sequence[Cell]) -> str:
    """Distance of dfmon's levels from the published ones."""
    pairs = [(cell.own, cell.published) for cell in cells if cell.own is not None]
    apart = [100.0 * abs(own / published - 1.0) for own, published in pairs if published]
    if not apart:
        return "it has none here"
    none = f", none in {len(cells) - len(pairs)}" if len(pairs) < len(cells) else ""
    return f"the same in {sum(a < 1e-9 for a in apart)} of {len(cells)}{none}, at most {max(apart):.1f} % away"


def _by_option(column: ComparedColumn) -> Iterator[str]:
    different = column.different
    equal = f"{len(column.cells) - len(different):,} of {len(column.cells):,}"
    yield f"\n  {column.name} of each option: {column.convention}; {equal} to every digit"
    yield from (f"    DIFFERENT: {_different(column, cell)}" for cell in different[:_SHOWN_OPTIONS])
    if len(different) > _SHOWN_OPTIONS:
        yield f"    and {len(different) - _SHOWN_OPTIONS:,} more"


def _number(value: float | None, unit: float, digits: int) -> str:
    return "n/a" if value is None or not np.isfinite(value) else f"{value * unit:.{digits}f}"
