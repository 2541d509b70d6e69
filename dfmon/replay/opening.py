"""Which kind of source stands at a path, told by its content."""

from __future__ import annotations

from pathlib import Path

from dfmon.core.step import FlowParams
from dfmon.replay.captured import Capture
from dfmon.replay.sources import Boards, Recording, Source
from dfmon.store import boards, captures, replayer


def open_source(
    path: Path,
    underlyings: tuple[str, ...] | None,
    params: FlowParams,
    *,
    own_params: bool,
    across_gaps: bool = False,
) -> Source:
    """What stands at `path`. `own_params`: a recording keeps the parameters it was made with.

    Without `underlyings` boards and captures show all they hold. Raises UsageError in one sentence.
    """
    if replayer.is_recording(path):
        return Recording(path, None if own_params else params, across_gaps=across_gaps)
    if captures.is_capture(path):
        return Capture(path, underlyings, params)
    held = boards.currencies(path)  # says in words what is wrong with the file
    return Boards(path, tuple(held) if underlyings is None else underlyings, params)
