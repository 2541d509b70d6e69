"""Every published figure beside what its convention gives and beside dfmon's, with the cause of each difference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dfmon.evidence.conventions import DFMON, Column, Match, causes, cell_cause, find_conventions, sums
from dfmon.evidence.level_conventions import find_level, level_cause, own_level
from dfmon.evidence.published import Published


class Cell(NamedTuple):
    """A published figure; `cause` is empty where its column's convention gives it to the last digit."""

    name: str
    published: float
    reproduced: float | None
    own: float | None
    cause: str


class ComparedColumn(NamedTuple):
    """A column of the vendor's file. `own` is dfmon's: USD per 1 % for sums, USD for levels, None for options."""

    name: str
    kind: str
    convention: str
    cells: list[Cell]

    @property
    def different(self) -> list[Cell]:
        """The cells that the convention does not give."""
        return [cell for cell in self.cells if cell.cause]


class Comparison(NamedTuple):
    """Sums and levels by expiry, figures by option, and the sentences on what the vendor does otherwise."""

    sums: list[ComparedColumn]
    levels: list[ComparedColumn]
    options: list[ComparedColumn]
    choices: list[str]


def compare_published(published: Published) -> Comparison:
    """All figures of a file."""
    chain = published.chain
    matches = find_conventions(chain, published.sums)
    own = chain.exposure(DFMON)
    by_option = chain._replace(group=np.array(published.names)) if published.by_option else chain
    option_matches = find_conventions(by_option, published.by_option) if published.by_option else {}
    used = dict.fromkeys(match.convention for match in (*matches.values(), *option_matches.values()) if any(match.hits))
    return Comparison(
        [
            ComparedColumn(name, column.kind, str(match.convention), list(_sums(published, column, match, own)))
            for name, column, match in _paired(published.sums, matches)
        ],
        [_level(published, name, kind, values) for name, (kind, values) in published.levels.items()],
        [
            ComparedColumn(name, column.kind, str(match.convention), list(_options(published, column, match)))
            for name, column, match in _paired(published.by_option, option_matches)
        ],
        list(dict.fromkeys(sentence for convention in used for sentence in causes(chain, convention))),
    )


def _paired(columns: dict[str, Column], matches: dict[str, Match]) -> Iterator[tuple[str, Column, Match]]:
    return ((name, column, matches[name]) for name, column in columns.items())


def _sums(
    published: Published, column: Column, match: Match, exposure: np.typing.NDArray[np.float64]
) -> Iterator[Cell]:
    own = sums(published.chain, exposure, column.kind)
    for (name, value), hit in zip(column.values.items(), match.hits, strict=True):
        cause = "" if hit else cell_cause(published.chain, match, column, name)
        yield Cell(name, value, match.reproduced.get(name), own.get(name), cause)


def _options(published: Published, column: Column, match: Match) -> Iterator[Cell]:
    chain = published.chain._replace(group=np.array(published.names))
    for (name, value), hit in zip(column.values.items(), match.hits, strict=True):
        cause = "" if hit else cell_cause(chain, match, column, name)
        yield Cell(name, value, match.reproduced.get(name), None, cause)


def _level(published: Published, name: str, kind: str, values: dict[str, float]) -> ComparedColumn:
    chain = published.chain
    match = find_level(chain, kind, values)
    cells = []
    for (group, value), hit in zip(values.items(), match.hits, strict=True):
        part = chain.where(chain.group == group)
        own = own_level(part, kind) if part.strike.size else None
        cause = "" if hit else level_cause(chain, match, kind, group, value)
        cells.append(Cell(group, value, match.reproduced.get(group), own, cause))
    return ComparedColumn(name, kind, match.convention, cells)
