"""Draws docs/architecture.svg and docs/core.svg from the imports of the code: `python docs/draw_architecture.py`.

A room is a module or package directly below `dfmon` (or `dfmon.core`). It stands one floor above the highest room that
it imports. An arrow that follows from a path of other arrows is left out.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
import textwrap
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Final

import grimp

DOCS: Final = Path(__file__).parent
DRAWINGS: Final = {"architecture.svg": "dfmon", "core.svg": "dfmon.core"}

WIDTH: Final = 1000
MARGIN: Final = 28
BOX_WIDTH, BOX_HEIGHT, FLOOR_HEIGHT = 218, 80, 136
BOX_GAP: Final = 22
LANE_WIDTH: Final = 20  # of an arrow that passes a floor
LANE_WEIGHT: Final = 8  # straightness of such an arrow, in joins of a box
ORDERS_TRIED: Final = 60  # random orders of the floors that are improved; the best is drawn
TEXT_COLUMNS: Final = 31  # letters of a line in a box

Edge = tuple[str, str]


@dataclass(frozen=True)
class Rooms:
    """The rooms below `package` and the pairs of them that import each other."""

    package: str
    names: frozenset[str]
    imports: frozenset[Edge]

    @classmethod
    def from_code(cls, package: str) -> Rooms:
        graph = grimp.build_graph("dfmon", cache_dir=None)
        prefix, depth = f"{package}.", package.count(".") + 2
        modules = [module for module in graph.modules if module.startswith(prefix)]

        def room(module: str) -> str:
            return ".".join(module.split(".")[:depth]).removeprefix(prefix)

        pairs = {
            (room(importer), room(imported))
            for importer in modules
            for imported in graph.find_modules_directly_imported_by(importer)
            if imported.startswith(prefix)
        }
        return cls(package, frozenset(map(room, modules)), frozenset(pair for pair in pairs if pair[0] != pair[1]))

    @cached_property
    def floors(self) -> dict[str, int]:
        """Floor by room, 0 at the bottom. Raises ValueError where rooms import each other in a circle."""
        floors: dict[str, int] = {}
        while len(floors) < len(self.names):
            ready = [
                name
                for name in self.names - floors.keys()
                if all(imported in floors for importer, imported in self.imports if importer == name)
            ]
            if not ready:
                raise ValueError(f"{self.package}: a circle of imports among {sorted(self.names - floors.keys())}")
            level = max(floors.values(), default=-1) + 1
            floors |= dict.fromkeys(ready, level)
        return floors

    @cached_property
    def arrows(self) -> list[Edge]:
        """The imports that no path of other imports implies."""
        return sorted(
            (importer, imported)
            for importer, imported in self.imports
            if not any(
                (importer, between) in self.imports and self._reaches(between, imported)
                for between in self.names - {importer, imported}
            )
        )

    def _reaches(self, start: str, goal: str) -> bool:
        imported = {b for a, b in self.imports if a == start}
        return goal in imported or any(self._reaches(name, goal) for name in imported)

    def summary(self) -> str:
        """The figures below the drawing."""
        return (
            f"{len(self.names)} rooms on {len(set(self.floors.values()))} floors; {len(self.imports)} pairs import one "
            f"another, {len(self.arrows)} arrows drawn: a path of arrows implies the others"
        )


# ---- layout: an arrow that passes floors gets a lane on each of them ----------------------------------------------


@dataclass(frozen=True)
class Node:
    """A room, or with `lane` the place where the arrow `name` passes a floor."""

    name: str
    floor: int
    lane: bool = False

    @property
    def width(self) -> float:
        return LANE_WIDTH if self.lane else BOX_WIDTH


@dataclass(frozen=True)
class Diagram:
    """Nodes by floor from left to right, their centres, and the path of each arrow from the top down."""

    rows: list[list[Node]]
    centre: dict[Node, float]
    paths: list[list[Node]]


def arrange(rooms: Rooms) -> Diagram:
    """Order the floors with few crossings, then place every node near the nodes it is joined to."""
    paths = [_path(rooms, edge) for edge in rooms.arrows]
    nodes = {Node(name, floor) for name, floor in rooms.floors.items()} | set(itertools.chain(*paths))
    links = [pair for path in paths for pair in itertools.pairwise(path)]
    floors = [
        sorted((n for n in nodes if n.floor == floor), key=lambda n: n.name)
        for floor in range(1 + max(rooms.floors.values()))
    ]
    starts = ([rng.sample(row, len(row)) for row in floors] for rng in map(random.Random, range(ORDERS_TRIED)))
    rows = min((_order(start, links) for start in starts), key=lambda rows: _cost(rows, links))
    return Diagram(rows, _place(rows, links), paths)


def _path(rooms: Rooms, edge: Edge) -> list[Node]:
    top, bottom = (rooms.floors[name] for name in edge)
    lanes = [Node("->".join(edge), floor, lane=True) for floor in range(top - 1, bottom, -1)]
    return [Node(edge[0], top), *lanes, Node(edge[1], bottom)]


def _order(rows: list[list[Node]], links: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """Move one node after the other along its floor while that removes crossings or shortens arrows."""
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
    for node in row:
        others = [other for other in row if other != node]
        yield from ([*others[:place], node, *others[place:]] for place in range(len(row)))


def _cost(rows: list[list[Node]], links: Sequence[tuple[Node, Node]]) -> tuple[int, float]:
    place = {node: (index + 0.5) / len(row) for row in rows for index, node in enumerate(row)}
    spans = [(upper.floor, place[upper], place[lower]) for upper, lower in links]
    crossings = sum(a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < 0 for a, b in itertools.combinations(spans, 2))
    return crossings, round(sum((upper - lower) ** 2 for _, upper, lower in spans), 9)


def _place(rows: list[list[Node]], links: Sequence[tuple[Node, Node]]) -> dict[Node, float]:
    """Centres: each floor in turn as near to its neighbours' centres as order and widths allow."""
    joined: dict[Node, list[Node]] = {}
    for upper, lower in links:
        weight = LANE_WEIGHT if upper.lane and lower.lane else 1
        joined.setdefault(upper, []).extend([lower] * weight)
        joined.setdefault(lower, []).extend([upper] * weight)
    centre = {node: WIDTH / 2 for row in rows for node in row}
    for _ in range(100):
        for row in rows:
            wanted = [
                sum(centre[n] for n in joined[node]) / len(joined[node]) if node in joined else WIDTH / 2
                for node in row
            ]
            centre |= zip(row, _spread(row, wanted), strict=True)
    shift = (
        WIDTH - min(c - n.width / 2 for n, c in centre.items()) - max(c + n.width / 2 for n, c in centre.items())
    ) / 2
    return {node: place + shift for node, place in centre.items()}


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


# ---- drawing ------------------------------------------------------------------------------------------------------

_STYLE: Final = """
  text { font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #44505c; font-size: 12px }
  .name { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 15px;
          font-weight: bold; fill: #17212b }
  .room { fill: #ffffff; stroke: #8a97a5 } .pure { fill: #e4eefb; stroke: #5b86bb }
  .arrow { fill: none; stroke: #7c8894; stroke-width: 1.4 }
"""

_ARROW_HEAD: Final = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,0.6 L8,4 L0,7.4 z" fill="#7c8894"/></marker></defs>'
)


def draw(rooms: Rooms) -> str:
    """The drawing as SVG."""
    diagram = arrange(rooms)
    height = 2 * MARGIN + (len(diagram.rows) - 1) * FLOOR_HEIGHT + BOX_HEIGHT + 50
    pure = pure_rooms(rooms.package)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<title>Rooms of {rooms.package} and their imports</title>",
        f"<style>{_STYLE}</style>",
        _ARROW_HEAD,
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="#f7f9fb"/>',
        *_arrows(diagram, len(diagram.rows)),
        *(
            _box(node, diagram, rooms.package, pure=node.name in pure)
            for row in diagram.rows
            for node in row
            if not node.lane
        ),
        *_legend(rooms, height, has_both=0 < len(pure & rooms.names) < len(rooms.names)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _top(floor: int, floors: int) -> float:
    return MARGIN + (floors - 1 - floor) * FLOOR_HEIGHT


def _box(node: Node, diagram: Diagram, package: str, *, pure: bool) -> str:
    x, y = diagram.centre[node], _top(node.floor, len(diagram.rows))
    module = f"{package}.{node.name}"
    label = node.name + ("/" if DOCS.parent.joinpath(*module.split(".")).is_dir() else ".py")
    lines = textwrap.wrap(purpose(module), TEXT_COLUMNS, max_lines=3, placeholder=" …")
    text = "".join(
        f'<text x="{x:.1f}" y="{y + 38 + 14.5 * index:.1f}" text-anchor="middle">{escape(line)}</text>'
        for index, line in enumerate(lines)
    )
    return (
        f'<rect class="{"pure" if pure else "room"}" x="{x - BOX_WIDTH / 2:.1f}" y="{y:.1f}" width="{BOX_WIDTH}" '
        f'height="{BOX_HEIGHT}" rx="7"/>'
        f'<text class="name" x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{label}</text>{text}'
    )


def _arrows(diagram: Diagram, floors: int) -> Iterable[str]:
    """One curve an arrow; the arrows of a box leave and reach it side by side."""
    for path in diagram.paths:
        start_x = _port(path[0], path[1], [p[:2] for p in diagram.paths], diagram)
        end_x = _port(path[-1], path[-2], [p[:-3:-1] for p in diagram.paths], diagram)
        x, y = start_x, _top(path[0].floor, floors) + BOX_HEIGHT
        curve = f"M{x:.1f},{y:.1f}"
        for node in path[1:]:
            next_x = end_x if node is path[-1] else diagram.centre[node]
            next_y = _top(node.floor, floors)
            bend = (next_y - y) * 0.55
            curve += f" C{x:.1f},{y + bend:.1f} {next_x:.1f},{next_y - bend:.1f} {next_x:.1f},{next_y:.1f}"
            x, y = next_x, next_y
            if node.lane:
                y += BOX_HEIGHT
                curve += f" V{y:.1f}"
        yield f'<path class="arrow" d="{curve}" marker-end="url(#head)"/>'


def _port(node: Node, towards: Node, ends: Iterable[list[Node]], diagram: Diagram) -> float:
    """Where on the edge of `node` the arrow to or from `towards` stands."""
    others = sorted((diagram.centre[end[1]], end[1].name) for end in ends if end[0] == node)
    rank = others.index((diagram.centre[towards], towards.name))
    return diagram.centre[node] + (rank - (len(others) - 1) / 2) * min(30.0, (BOX_WIDTH - 40) / len(others))


def _legend(rooms: Rooms, height: int, *, has_both: bool) -> Iterable[str]:
    y = height - 22
    yield f'<text x="{WIDTH - MARGIN}" y="{y}" text-anchor="end">{escape(rooms.summary())}</text>'
    if has_both:
        yield f'<rect class="pure" x="{MARGIN}" y="{y - 12}" width="22" height="14" rx="3"/>'
        yield f'<text x="{MARGIN + 30}" y="{y}">pure: no clock, no socket, no thread, no log</text>'


def purpose(module: str) -> str:
    """The first sentence of a module's docstring, up to a semicolon."""
    path = DOCS.parent.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    first_line = (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return re.split(r"; |\. |\.$", first_line)[0].replace("`", "")


def pure_rooms(package: str) -> frozenset[str]:
    """The rooms that the import contract keeps from clocks, sockets, threads and logs."""
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    sources = next(c["source_modules"] for c in contracts if c["name"].startswith("pure code"))
    return frozenset(name.removeprefix(f"{package}.") for name in sources if name.startswith(f"{package}."))


if __name__ == "__main__":
    for name, package in DRAWINGS.items():
        (DOCS / name).write_text(draw(Rooms.from_code(package)), encoding="utf-8")
