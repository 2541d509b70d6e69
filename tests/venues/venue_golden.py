"""Golden frames: a JSON line is a frame (or the answer to a tagged REST call) and the events it must become.

Lines of one file are one session, in order. Floats that are NaN are null in the file.
"""

import json
import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec
import numpy as np

from dfmon.model.events import Event, RawTicker, Rejected
from dfmon.venues.protocol import VenueProtocol

GOLDEN = Path(__file__).parents[1] / "golden"
NOW = 1_794_830_400_000_000_000  # 2026-11-16T12:00:00Z
BAD = (
    b"\xff", b"null", b"1e999", b"[" * 3000, b'{"a":' * 3000, b"", b"-1", b'""', b"0", b"{}", b"[]", b'"x"',
    b"true", b"99999999999999999999", b"1e308", b"\x00", b'"nan"', b'"\\ud800"',
)  # fmt: skip


ODD = (
    b"null", b"true", b"-1", b"0", b"0.0", b"-0.0", b"1e-320", b"1e15", b"1e18", b"-1e308", b"9223372036854775808",
    b"3.5", b'"1e400"', b'"-1"', b'"0x10"', b'"NaN"', b'"Infinity"', b'" 1 "', b'"1_000"', b"[[]]", b'[{"a":null}]',
    b'{"data":[]}', '"\u0661"'.encode(), b'"' + b"9" * 400 + b'"',
)  # fmt: skip
_KEY = re.compile(rb'"\w+":\s?')
_VALUE = re.compile(rb'":\s?("[^"]*"|[-\d.eE+]+|true|false|null)')


@dataclass(frozen=True)
class Golden:
    name: str
    body: bytes
    events: list[list[object]]
    tag: str = ""

    def play(self, protocol: VenueProtocol) -> Sequence[Event]:
        if self.tag:
            return protocol.response_received(self.tag, self.body)
        return read(protocol.frame_received(self.body))


def read(events: Sequence[Event]) -> list[Event]:
    """The events with tickers in our units."""
    return [event.to_option_ticker() if isinstance(event, RawTicker) else event for event in events]


def goldens(path: str) -> list[Golden]:
    lines = (json.loads(line) for line in (GOLDEN / path).read_text().splitlines())
    return [Golden(line["name"], body(line["body"]), line["events"], line.get("tag", "")) for line in lines]


def body(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value, separators=(",", ":")).encode()


def plain(events: Sequence[Event]) -> list[list[object]]:
    return [
        [type(event).__name__, {name: plain_value(getattr(event, name)) for name in event.__struct_fields__}]
        for event in events
    ]


def plain_value(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return {name: plain_value(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, np.ndarray):
        return plain_value(value.tolist())
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.12g}")
    return value


def mutations(frame: bytes, count: int = 300) -> list[bytes]:
    """`count` damaged copies of a frame, the same ones every time: a sixth each of six kinds of damage."""
    kinds = (_spliced, _flipped, _cut, _other_value, _duplicate_key, _renamed_key)
    return [kinds[seed % len(kinds)](frame, random.Random(seed)) for seed in range(count)]


def _spliced(frame: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(frame) + 1)
    end = min(len(frame), start + rng.randrange(8))
    return frame[:start] + rng.choice(BAD) + frame[end:]


def _flipped(frame: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(frame or b"x")
    for _ in range(rng.randrange(1, 4)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _cut(frame: bytes, rng: random.Random) -> bytes:
    start, end = sorted((rng.randrange(len(frame) + 1), rng.randrange(len(frame) + 1)))
    return rng.choice((frame[:start], frame[end:], frame[:start] + frame[end:]))


def _other_value(frame: bytes, rng: random.Random) -> bytes:
    """A value of another type, or a number beyond any market, in the place of a value."""
    values = list(_VALUE.finditer(frame))
    if not values:
        return _spliced(frame, rng)
    found = rng.choice(values)
    return frame[: found.start(1)] + rng.choice(BAD + ODD) + frame[found.end(1) :]


def _duplicate_key(frame: bytes, rng: random.Random) -> bytes:
    """A key twice in an object, with two values."""
    keys = list(_KEY.finditer(frame))
    if not keys:
        return _spliced(frame, rng)
    at = rng.choice(keys).start()
    return frame[:at] + rng.choice(keys)[0] + rng.choice(ODD) + b"," + frame[at:]


def _renamed_key(frame: bytes, rng: random.Random) -> bytes:
    """A field under another name."""
    keys = list(_KEY.finditer(frame))
    if not keys:
        return _spliced(frame, rng)
    found = rng.choice(keys)
    return frame[: found.start()] + b'"new_field":' + frame[found.end() :]


def assert_finite(events: Sequence[Event]) -> None:
    """Nothing of a damaged frame may be infinite, too large for 64 bits, or unsafe on a terminal."""
    for event in events:
        assert isinstance(event, Event)
        for name, value in ((field, getattr(event, field)) for field in event.__struct_fields__):
            if isinstance(value, np.ndarray):
                assert not np.isinf(value).any(), (event, name)
            if isinstance(value, float):
                assert not math.isinf(value), (event, name)
            if isinstance(value, int):
                assert -(2**63) <= value < 2**63, (event, name)
        if isinstance(event, Rejected):
            assert event.detail.isprintable() or "\\" in event.detail or event.detail == ""
