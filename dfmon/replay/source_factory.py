"""Opens the source at a path, whose kind is detected from the content."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any, Final

from dfmon.core.step import FlowParams
from dfmon.replay.capture_source import CaptureSource
from dfmon.replay.sources import BoardSource, RecordingSource, ReplaySource
from dfmon.store import captures, replayer

_OVERRIDABLE_OPTIONS: Final = ("positions", "numeraire", "stickiness")  # of the command line, each a parameter


def open_source(
    path: Path,
    underlyings: tuple[str, ...] | None,
    params: FlowParams,
    *,
    explicit_options: Container[str] = (),
    across_gaps: bool = False,
    at_ns: int | None = None,
) -> ReplaySource:
    """The source at `path`. A recording keeps the parameters it was made with, except `explicit_options`.

    Without `underlyings` boards and captures show all of theirs; rows of a board without a time have `at_ns`. Raises
    UsageError.
    """
    if replayer.is_recording(path):
        return RecordingSource(path, _overrides(params, explicit_options), across_gaps=across_gaps)
    if captures.is_capture(path):
        return CaptureSource(path, underlyings, params)
    return BoardSource(path, underlyings, params, at_ns)  # raises the error of a file of no known kind


def _overrides(params: FlowParams, explicit_options: Container[str]) -> dict[str, Any]:
    """The parameters that are set by `explicit_options`."""
    overrides = {option: getattr(params, option) for option in _OVERRIDABLE_OPTIONS if option in explicit_options}
    if "positions" in overrides and params.file_positions is not None:
        overrides["file_positions"] = params.file_positions
    return overrides
