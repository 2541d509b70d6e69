"""Replays recordings, captures and boards through the driver of a live session.

`sources` are what can be replayed, `timeline` moves through a source by checkpoints, and `player` paces it into the
hub. Records keep their own times and pacing only decides when they are applied, so speed, pause, step and seek cannot
change a number.
"""

from dfmon.replay.capture_source import CaptureSource
from dfmon.replay.player import ReplaySession
from dfmon.replay.source_factory import open_source
from dfmon.replay.sources import (
    BoardSource,
    RecordingSource,
    ReplaySource,
    explain_board_format,
    play_through,
    play_to_end,
    resolve_span,
)

__all__ = [
    "BoardSource",
    "CaptureSource",
    "RecordingSource",
    "ReplaySession",
    "ReplaySource",
    "explain_board_format",
    "open_source",
    "play_through",
    "play_to_end",
    "resolve_span",
]
