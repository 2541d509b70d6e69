"""Draws docs/architecture.svg and docs/core.svg from the imports of the code: `python docs/draw_architecture.py`.

A room is a module or package directly below `dfmon` (or `dfmon.core`). It stands one floor above the highest room that
it imports. An arrow that follows from a path of other arrows is left out.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Final

import grimp
from layered_layout import BOX_WIDTH, MARGIN, WIDTH, Diagram, Edge, Node, arrange

DOCS: Final = Path(__file__).parent
DRAWINGS: Final = {"architecture.svg": "dfmon", "core.svg": "dfmon.core"}

BOX_HEIGHT, FLOOR_HEIGHT, LEGEND_HEIGHT = 80, 136, 50
TEXT_COLUMNS: Final = 31  # letters of a line in a box
PORT_GAP: Final = 30.0  # between two arrows at one box


@dataclass(frozen=True)
class Rooms:
    """The rooms below `package` and the pairs of them that import each other."""

    package: str
    names: frozenset[str]
    imports: frozenset[Edge]

    @classmethod
    def from_code(cls, package: str) -> Rooms:
        """Reads the imports of all modules below `package`."""
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
    diagram = arrange(rooms.floors, rooms.arrows)
    height = 2 * MARGIN + (len(diagram.rows) - 1) * FLOOR_HEIGHT + BOX_HEIGHT + LEGEND_HEIGHT
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
    """The place on the edge of `node` of the arrow to or from `towards`."""
    others = sorted((diagram.centre[end[1]], end[1].name) for end in ends if end[0] == node)
    rank = others.index((diagram.centre[towards], towards.name))
    return diagram.centre[node] + (rank - (len(others) - 1) / 2) * min(PORT_GAP, (BOX_WIDTH - 40) / len(others))


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
