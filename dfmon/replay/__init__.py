"""A replayed market: the same driver, fed from a recording, a capture or boards.

Sibling of `dfmon.runtime.live_session`. `sources` says what can be replayed, `timeline` keeps a place in it and goes
anywhere through checkpoints, `player` paces it into the hub. Records keep their own times; pacing only decides when
they are handed over, so speed, pause, step and seek cannot change a number.
"""

from dfmon.replay.capture_source import CaptureSource
from dfmon.replay.player import ReplaySession
from dfmon.replay.source_factory import open_source
from dfmon.replay.sources import BoardSource, RecordingSource, ReplaySource, play_through, play_to_end, resolve_span

__all__ = [
    "BoardSource",
    "CaptureSource",
    "RecordingSource",
    "ReplaySession",
    "ReplaySource",
    "open_source",
    "play_through",
    "play_to_end",
    "resolve_span",
]
