"""Which kind of source stands at a path, told by its content."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any, Final

from dfmon.core.step import FlowParams
from dfmon.replay.captured import Capture
from dfmon.replay.sources import Boards, Recording, Source
from dfmon.store import boards, captures, replayer

_OPTIONS: Final = ("positions", "numeraire", "stickiness")  # of the command line, each a parameter


def open_source(
    path: Path,
    underlyings: tuple[str, ...] | None,
    params: FlowParams,
    *,
    named: Container[str] = (),
    across_gaps: bool = False,
) -> Source:
    """What stands at `path`. A recording keeps the parameters it was made with, but for the options `named`.

    Without `underlyings` boards and captures show all they hold. Raises UsageError in one sentence.
    """
    if replayer.is_recording(path):
        return Recording(path, _chosen(params, named), across_gaps=across_gaps)
    if captures.is_capture(path):
        return Capture(path, underlyings, params)
    held = boards.currencies(path)  # says in words what is wrong with the file
    return Boards(path, tuple(held) if underlyings is None else underlyings, params)


def _chosen(params: FlowParams, named: Container[str]) -> dict[str, Any]:
    """The parameters that `named` options set."""
    chosen = {option: getattr(params, option) for option in _OPTIONS if option in named}
    if "positions" in chosen and params.file_positions is not None:
        chosen["file_positions"] = params.file_positions
    return chosen
