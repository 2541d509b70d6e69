"""Layout of a layered drawing (Sugiyama): boxes on floors, arrows downward with few crossings and short ways.

An arrow that passes floors gets a lane on each of them. Lengths are pixels. The result is the same on every run.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000
MARGIN: Final = 28
BOX_WIDTH: Final = 218
BOX_GAP: Final = 22
LANE_WIDTH: Final = 20
LANE_WEIGHT: Final = 8  # straightness of a long arrow, in joins of a box
ORDERS_TRIED: Final = 60  # random orders of the floors that are improved; the best is drawn
PLACEMENT_SWEEPS: Final = 100

Edge = tuple[str, str]


@dataclass(frozen=True)
class Node:
    """A room, or with `lane` the place where the arrow `name` passes a floor."""

    name: str
    floor: int
    lane: bool = False

    @property
    def width(self) -> float:
        return LANE_WIDTH if self.lane else BOX_WIDTH


Link = tuple[Node, Node]  # joined nodes of neighbouring floors, the upper one first


@dataclass(frozen=True)
class Diagram:
    """Nodes by floor from left to right, their centres, and the path of each arrow from the top down."""

    rows: list[list[Node]]
    centre: dict[Node, float]
    paths: list[list[Node]]


def arrange(floor_by_name: Mapping[str, int], arrows: Sequence[Edge]) -> Diagram:
    """Orders the floors with few crossings, then places every node near the nodes it is joined to."""
    paths = [_path(edge, floor_by_name) for edge in arrows]
    nodes = {Node(name, floor) for name, floor in floor_by_name.items()} | set(itertools.chain(*paths))
    links = [pair for path in paths for pair in itertools.pairwise(path)]
    floors = [
        sorted((n for n in nodes if n.floor == floor), key=lambda n: n.name)
        for floor in range(1 + max(floor_by_name.values()))
    ]
    starts = ([rng.sample(row, len(row)) for row in floors] for rng in map(random.Random, range(ORDERS_TRIED)))
    rows = min((_order(start, links) for start in starts), key=lambda rows: _cost(rows, links))
    return Diagram(rows, _place(rows, links), paths)


def _path(edge: Edge, floor_by_name: Mapping[str, int]) -> list[Node]:
    top, bottom = (floor_by_name[name] for name in edge)
    lanes = [Node("->".join(edge), floor, lane=True) for floor in range(top - 1, bottom, -1)]
    return [Node(edge[0], top), *lanes, Node(edge[1], bottom)]


def _order(rows: list[list[Node]], links: Sequence[Link]) -> list[list[Node]]:
    """Moves one node after the other along its floor while that removes crossings or shortens arrows."""
    improved = True
    while improved:
        improved = False
        for floor, row in enumerate(rows):
            touching = [link for link in links if link[0].floor in (floor, floor + 1)]
            cost = _cost(rows, touching)
            for candidate in _moves(row):
                candidate_cost = _cost([*rows[:floor], candidate, *rows[floor + 1 :]], touching)
                if candidate_cost < cost:
                    rows[floor], cost, improved = candidate, candidate_cost, True
    return rows


def _moves(row: Sequence[Node]) -> Iterable[list[Node]]:
    """The orders that differ from `row` by the place of one node."""
    for index, node in enumerate(row):
        others = [*row[:index], *row[index + 1 :]]
        yield from ([*others[:place], node, *others[place:]] for place in range(len(row)) if place != index)


def _cost(rows: list[list[Node]], links: Sequence[Link]) -> tuple[int, float]:
    """Number of crossings, then the squared length of all arrows."""
    place = {node: (index + 0.5) / len(row) for row in rows for index, node in enumerate(row)}
    spans = [(upper.floor, place[upper], place[lower]) for upper, lower in links]
    crossings = sum(a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < 0 for a, b in itertools.combinations(spans, 2))
    return crossings, round(sum((upper - lower) ** 2 for _, upper, lower in spans), 9)


def _place(rows: list[list[Node]], links: Sequence[Link]) -> dict[Node, float]:
    """Centres: each floor in turn as near to its neighbours' centres as order and widths allow."""
    joined: dict[Node, list[Node]] = {}
    for upper, lower in links:
        weight = LANE_WEIGHT if upper.lane and lower.lane else 1
        joined.setdefault(upper, []).extend([lower] * weight)
        joined.setdefault(lower, []).extend([upper] * weight)
    centre = {node: WIDTH / 2 for row in rows for node in row}
    for _ in range(PLACEMENT_SWEEPS):
        for row in rows:
            wanted = [_mean([centre[n] for n in joined[node]]) if node in joined else WIDTH / 2 for node in row]
            centre |= zip(row, _spread(row, wanted), strict=True)
    left = min(place - node.width / 2 for node, place in centre.items())
    right = max(place + node.width / 2 for node, place in centre.items())
    return {node: place + (WIDTH - left - right) / 2 for node, place in centre.items()}


def _spread(row: Sequence[Node], wanted: Sequence[float]) -> list[float]:
    """The centres nearest to `wanted` that keep order, gaps and margins (pool adjacent violators)."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + BOX_GAP)
    groups: list[list[float]] = []
    for place, offset in zip(wanted, offsets, strict=True):
        groups.append([place - offset])
        while len(groups) > 1 and _mean(groups[-2]) > _mean(groups[-1]):
            groups[-2:] = [groups[-2] + groups[-1]]
    low = MARGIN + row[0].width / 2
    high = WIDTH - MARGIN - row[-1].width / 2 - offsets[-1]
    starts = [min(max(_mean(group), low), high) for group in groups for _ in group]
    return [start + offset for start, offset in zip(starts, offsets, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
