"""Writes the man page and the shell completions from the parser of the command line: `python deploy/shell_files.py`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import shtab
from argparse_manpage.manpage import Manpage

from dfmon.cli.parser import build_parser

FOLDER: Final = Path(__file__).parent
COMPLETIONS: Final = {"bash": "dfmon.bash", "zsh": "_dfmon", "fish": "dfmon.fish"}
PATHS: Final = {"FILE": shtab.FILE, "SOURCE": shtab.FILE, "DIR": shtab.DIRECTORY}  # by the option's metavar


def man_page() -> str:
    """The manual in troff. It has no date: two runs must not differ."""
    page = Manpage(build_parser())
    page.date, page.source, page.manual = "", "dfmon", "User Commands"
    page.description = "monitor of dealer flow in crypto options"
    return str(page)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Options and arguments of a parser and of its commands."""
    for action in parser._actions:  # noqa: SLF001, argparse has no public way to its options
        yield action
        if action.choices and isinstance(action.choices, dict):
            for command in action.choices.values():
                yield from _actions(command)


def completions(shell: str) -> str:
    """The completion script of a shell, with paths where an option takes one."""
    parser = build_parser()
    for action in _actions(parser):
        if action.metavar in PATHS:
            action.complete = PATHS[str(action.metavar)]  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell))


def generated_files() -> dict[Path, str]:
    """Path of each file, and its text."""
    files = {FOLDER / name: completions(shell) for shell, name in COMPLETIONS.items()}
    return {FOLDER / "dfmon.1": man_page()} | files


def main() -> None:
    for path, text in generated_files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
