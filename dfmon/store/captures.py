"""Captures of other programs: what cryptofeed, hftbacktest and Tardis write, recognised by content.

All contain the venues' own frames; files may be packed with zstd, gzip or zip. `replay.capture_source` turns the
messages into records. A reader of a format is a row of `_FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dfmon.model.errors import DfmonError, UsageError
from dfmon.store import capture_cryptofeed, capture_frames, capture_pcap
from dfmon.store.capture_messages import EXPECTED, LIMITS, CapturedMessage, CaptureFormat, display_path
from dfmon.store.file_content import open_unpacked, packing_of

_HEAD_BYTES: Final = 400
_FORMATS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[Path], CaptureFormat]], ...]] = (
    (capture_frames.is_hftbacktest, capture_frames.StampedFrames),
    (capture_frames.is_tardis, capture_frames.StampedFrames),
    (capture_pcap.is_pcap, capture_pcap.Pcap),
    (capture_pcap.is_meta, capture_pcap.Pcap),
    (capture_cryptofeed.is_json_lines, capture_cryptofeed.JsonLines),
    (capture_cryptofeed.is_text, capture_cryptofeed.TextFiles),
)


def is_capture(path: Path) -> bool:
    """True if the content looks like a capture, or is zstd that cannot be read."""
    try:
        return _format_at(path) is not None
    except DfmonError:
        return _is_zstd(path)


class CaptureReader:
    """The capture at `path`. Raises UsageError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        open_format = _format_at(path)
        if open_format is None:
            raise UsageError(f"{display_path(path)} is not a capture of cryptofeed, hftbacktest or Tardis")
        self._format = open_format(path)
        self.sources: tuple[str, ...] = self._format.sources

    def messages(self) -> Iterator[CapturedMessage]:
        """Every message in order of time. Raises SourceError for damage, after the last message before it."""
        yield from self._format.messages()


def _format_at(path: Path) -> Callable[[Path], CaptureFormat] | None:
    with open_unpacked(path, EXPECTED, LIMITS) as stream:
        head = stream.read(_HEAD_BYTES)
    return next((open_format for matches, open_format in _FORMATS if matches(head)), None)


def _is_zstd(path: Path) -> bool:
    try:
        return packing_of(path) == "zstd"
    except DfmonError:
        return False
