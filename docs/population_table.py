"""Writes the switches of the simulated families into docs/positions.md: `python docs/population_table.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from dfmon.sim.populations.families import FAMILIES
from dfmon.sim.populations.family import KINDS, AccountSwitches, ClassSwitches

PAGE: Final = Path(__file__).parent / "positions.md"
_BEGIN, _END = "<!-- switches -->\n", "<!-- end of switches -->\n"


def switch_tables() -> str:
    """Tables of the markets of accounts, their class shares, the markets of classes, and what is seen of them."""
    accounts = {
        name: replace(family.accounts, **dict[str, Any](family.drawn))
        for name, family in FAMILIES.items()
        if family.accounts is not None
    }
    classes = {name: family.classes for name, family in FAMILIES.items() if family.classes is not None}
    return "\n".join(
        [
            *_table("accounts", _switches(accounts, skip=("shares",)), list(accounts)),
            "",
            *_table("class shares", _class_shares(accounts), list(accounts)),
            "",
            *_table("classes", _switches(classes), list(classes)),
            "",
            *_table(
                "seen",
                {
                    "open interest every (s)": [_text(family.interest_every_s) for family in FAMILIES.values()],
                    "prints lost": [_text(family.lost) for family in FAMILIES.values()],
                },
                list(FAMILIES),
            ),
            "",
        ]
    )


def _table(title: str, rows: Mapping[str, list[str]], names: list[str]) -> Iterator[str]:
    yield f"| {title} | {' | '.join(names)} |"
    yield "| --- |" + " ---: |" * len(names)
    for label, cells in rows.items():
        marked = [cells[0], *("=" if cell == cells[0] else cell for cell in cells[1:])]
        yield f"| {label} | {' | '.join(marked)} |"


def _switches(
    families: Mapping[str, AccountSwitches | ClassSwitches], skip: tuple[str, ...] = ()
) -> dict[str, list[str]]:
    first = next(iter(families.values()))
    return {
        field.name: [_text(getattr(switches, field.name)) for switches in families.values()]
        for field in fields(first)
        if field.name not in skip
    }


def _class_shares(families: Mapping[str, AccountSwitches]) -> dict[str, list[str]]:
    return {kind: [_text(list(switches.shares[kind])) for switches in families.values()] for kind in KINDS}


def _text(value: object) -> str:
    """Numbers as short as they are, ranges as low-high, equal ends once."""
    if isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], tuple):
        return _text(value[0]) if value[0] == value[1] else f"{_text(value[0])}-{_text(value[1])}"
    if isinstance(value, tuple | list):
        return " ".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float | int) else "assumed" if value is None else str(value)


def with_tables(page: str) -> str:
    """The page with its tables as of now."""
    return re.sub(f"{_BEGIN}(.*\n)*{_END}", lambda _: f"{_BEGIN}\n{switch_tables()}\n{_END}", page)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
