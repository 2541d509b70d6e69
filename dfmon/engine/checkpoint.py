"""The checkpoint of a session: the state that `step` carries of each underlying, and the last print it includes.

It enters a session as its first record, so a replay of that session starts from the same state. Damaged bytes, or
those of another version, are refused in one sentence and nothing of them is used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from dfmon.core.positions.book_codec import MAGIC_PREFIX, OtherVersionError, decode_book, encode_book
from dfmon.core.positions.earlier_state import decode_earlier
from dfmon.core.positions.position_book import PositionBook
from dfmon.core.step import FlowState
from dfmon.engine.flow_codec import decode_flow, encode_flow
from dfmon.engine.stored_options import StoredOptions, decode_options, encode_options
from dfmon.model.units import MILLISECOND, sanitize

VERSION: Final = 2
EARLIER_VERSION: Final = 1  # positions of another estimator: its means and deviations start the present one
_MAGIC: Final = b"dfmon positions\n"
_DIGEST_SIZE: Final = 16
_MAX_BODY_BYTES: Final = 1 << 26  # of a damaged or foreign file; a body has some megabytes


class OtherOriginError(ValueError):
    """Intact stored positions of another exchange or other priors."""


class UnderlyingCheckpoint(msgspec.Struct, frozen=True):
    """One underlying: the positions as bytes (empty: none), the time of the newest print it includes, the rest of the
    state and the data of the options as bytes (empty in files of earlier versions).
    """

    positions: bytes
    newest_ms: int
    flow: bytes = b""
    options: bytes = b""


class RestoredState(NamedTuple):
    """A decoded checkpoint, state and options by underlying, and a sentence for each part that could not be used."""

    checkpoint: PositionsCheckpoint
    states: dict[str, FlowState]
    options: dict[str, StoredOptions]
    problems: tuple[str, ...]


class PositionsCheckpoint(msgspec.Struct, frozen=True, rename={"underlyings": "held"}):
    """State by underlying, for the host `exchange`; `rests_on` is the digest of the priors it was made under."""

    version: int
    exchange: str
    rests_on: str
    saved_ns: int
    underlyings: dict[str, UnderlyingCheckpoint]

    @classmethod
    def from_states(
        cls,
        exchange: str,
        rests_on: str,
        saved_ns: int,
        states: Mapping[str, FlowState],
        previous: PositionsCheckpoint | None,
        options: Mapping[str, StoredOptions] | None = None,
    ) -> PositionsCheckpoint:
        """The current state; underlyings that only an earlier run followed are carried over."""
        underlyings = dict(previous.underlyings) if previous is not None else {}
        for underlying, state in states.items():
            if state.book.names:
                newest_ms = int(state.book.newest_ns.max()) // MILLISECOND
                board = encode_options(options[underlying]) if options else b""
                stored = UnderlyingCheckpoint(encode_book(state.book), newest_ms, encode_flow(state), board)
                underlyings[underlying] = stored
        return cls(VERSION, exchange, rests_on, saved_ns, underlyings)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Last sequence number by option, options with a full history, newest print by underlying."""

    last_seq: Mapping[str, int]
    full_history: frozenset[str]
    newest_ms: Mapping[str, int]


def find_resume_point(books: Iterable[PositionBook], newest_ms: Mapping[str, int]) -> ResumePoint:
    """The resume point of `books`. An option without prints is included only if its history is known to be
    empty.
    """
    last_seq: dict[str, int] = {}
    full_history: set[str] = set()
    for book in books:
        for name, seq, is_full in zip(book.names, book.seq.tolist(), book.full_history.tolist()):
            if is_full:
                full_history.add(name)
            if seq or is_full:
                last_seq[name] = seq
    return ResumePoint(last_seq, frozenset(full_history), {name: ms for name, ms in newest_ms.items() if ms})


def priors_digest(params: msgspec.Struct) -> str:
    """Digest of the priors in force."""
    return blake2b(msgspec.json.encode(params), digest_size=8).hexdigest()


def encode_checkpoint(checkpoint: PositionsCheckpoint) -> bytes:
    """The checkpoint as bytes: a magic line, a checksum, and the compressed body."""
    body = zlib.compress(msgspec.msgpack.encode(checkpoint), 1)
    return _MAGIC + blake2b(body, digest_size=_DIGEST_SIZE).digest() + body


def decode_checkpoint(data: bytes) -> RestoredState:
    """The checkpoint encoded by `encode_checkpoint`, and its states. Raises ValueError with one sentence.

    It is OtherVersionError where only the version differs. Where all but the positions is of another version, the
    positions are kept and the rest starts over.
    """
    start = len(_MAGIC) + _DIGEST_SIZE
    if not data.startswith(_MAGIC):
        raise ValueError("no stored positions of dfmon")
    body = data[start:]
    if blake2b(body, digest_size=_DIGEST_SIZE).digest() != data[len(_MAGIC) : start]:
        raise ValueError(f"the checksum of {len(data)} bytes is wrong, the stored positions are damaged")
    try:
        unpacked = zlib.decompressobj().decompress(body, _MAX_BODY_BYTES)
        checkpoint = msgspec.msgpack.decode(unpacked, type=PositionsCheckpoint)
    except (zlib.error, msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError(f"stored positions in another form: {sanitize(str(exc))}") from None
    if checkpoint.version not in (VERSION, EARLIER_VERSION):
        raise OtherVersionError(f"stored positions of version {checkpoint.version}, this dfmon reads {VERSION}")
    states: dict[str, FlowState] = {}
    options: dict[str, StoredOptions] = {}
    problems: list[str] = []
    for name, entry in checkpoint.underlyings.items():
        if entry.options:
            try:
                options[name] = decode_options(entry.options)
            except ValueError as exc:
                problems.append(f"{name}: {exc}")
        if entry.positions:
            is_earlier = not entry.positions.startswith(MAGIC_PREFIX)
            book = (
                decode_earlier(entry.positions, name, checkpoint.saved_ns)
                if is_earlier
                else decode_book(entry.positions, name)
            )
            states[name] = replace(FlowState.initial(), book=book)
            if entry.flow and not is_earlier:
                try:
                    states[name] = decode_flow(entry.flow, book)
                except ValueError as exc:
                    problems.append(f"{name}: {exc}")
    return RestoredState(checkpoint, states, options, tuple(problems))
