"""Resume point and contents of a checkpoint, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.print_kinds import PositionPriors
from dfmon.core.step import FlowState
from dfmon.engine.chain import ChainState
from dfmon.engine.checkpoint import (
    EARLIER_VERSION,
    VERSION,
    PositionsCheckpoint,
    UnderlyingCheckpoint,
    decode_checkpoint,
    encode_checkpoint,
    find_resume_point,
)
from dfmon.engine.stored_options import StoredOptions, decode_options, encode_options
from dfmon.model.events import Listed
from dfmon.model.units import MILLISECOND, MINUTE, SECOND
from tests.chains import NOW, frame, option, ticker, trade_columns

BOARD = frame(days=(9.0,), strikes=(90_000.0, 100_000.0))
A, B, C, _ = BOARD.names


def book_of(*seqs: int, full: tuple[int, ...] = ()) -> PositionBook:
    """A book with one print of each of the first options, a second apart."""
    count = len(seqs)
    prints = trade_columns(
        range(count), [1] * count, [1.0] * count, seq=seqs, exch_ns=[NOW + i * SECOND for i in range(count)]
    )
    board = replace(BOARD, trades=prints, ts_ns=NOW + 9 * SECOND)
    board = replace(board, full_history=np.isin(np.arange(BOARD.size), full))
    return advance_book(PositionBook.empty(), board, PositionPriors())


def test_resume_point_has_options_with_a_print_or_a_full_history_and_no_others() -> None:
    point = find_resume_point([book_of(7, full=(0, 1))], {"BTC": 5, "ETH": 0})
    assert dict(point.last_seq) == {A: 7, B: 0}
    assert point.full_history == {A, B}
    assert dict(point.newest_ms) == {"BTC": 5}
    assert dict(find_resume_point([book_of(7, 9)], {}).last_seq) == {A: 7, B: 9}


def test_checkpoint_has_the_newest_print_and_keeps_underlyings_of_earlier_runs() -> None:
    earlier = PositionsCheckpoint(VERSION, "host", "x", 1, {"ETH": UnderlyingCheckpoint(b"", 3)})
    states = {
        "BTC": replace(FlowState.initial(), book=book_of(1, 2, 3)),
        "SOL": FlowState.initial(),
    }
    checkpoint = PositionsCheckpoint.from_states("host", "x", 2, states, earlier)
    assert {name: stored.newest_ms for name, stored in checkpoint.underlyings.items()} == {
        "ETH": 3,
        "BTC": (NOW + 2 * SECOND) // MILLISECOND,
    }
    restored = decode_checkpoint(encode_checkpoint(checkpoint))
    assert restored.checkpoint == checkpoint
    assert restored.states["BTC"].book.names == BOARD.names
    assert restored.problems == ()


@pytest.mark.parametrize("version", [EARLIER_VERSION - 1, VERSION + 1])
def test_checkpoints_of_other_versions_are_refused(version: int) -> None:
    data = encode_checkpoint(PositionsCheckpoint(version, "host", "x", 1, {}))
    with pytest.raises(ValueError, match=rf"version {version}, this dfmon reads {VERSION}$"):
        decode_checkpoint(data)


def test_a_damaged_body_is_refused_by_its_checksum() -> None:
    data = bytearray(encode_checkpoint(PositionsCheckpoint(VERSION, "host", "x", 1, {})))
    data[len(b"dfmon positions\n")] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        decode_checkpoint(bytes(data))


def test_flow_of_another_version_keeps_the_positions_and_is_named() -> None:
    states = {"BTC": replace(FlowState.initial(), book=book_of(1))}
    checkpoint = PositionsCheckpoint.from_states("host", "x", 2, states, None)
    stored = checkpoint.underlyings["BTC"]
    other = replace_flow(checkpoint, UnderlyingCheckpoint(stored.positions, stored.newest_ms, b"?" * len(stored.flow)))
    restored = decode_checkpoint(encode_checkpoint(other))
    assert restored.problems == ("BTC: the stored state of scenario and pressure is of another version",)
    assert restored.states["BTC"].book.seq.max() == 1


def test_stored_options_are_written_into_their_rows_when_listed_unless_they_are_of_a_later_time() -> None:
    call, put = option(kind=1), option(kind=-1)
    chain, again = ChainState(("BTC",)), ChainState(("BTC",))
    for event in (Listed(call), Listed(put), ticker(call.name, open_interest=7.0), ticker(put.name, NOW + 2 * MINUTE)):
        chain.apply(event, NOW)
    chain.freeze("BTC", NOW + SECOND)
    again.restore_options(decode_options(encode_options(chain.stored_options("BTC"))), NOW + SECOND)
    for event in (Listed(call), Listed(put)):
        again.apply(event, NOW + SECOND)
    board = again.freeze("BTC", NOW + 2 * SECOND)
    np.testing.assert_array_equal(board.open_interest, [7.0, np.nan], "a later time would shut out what comes now")
    assert board.first_seen_ns.min() == NOW + SECOND
    again.apply(ticker(call.name, NOW + 1, open_interest=8.0), NOW + 2 * SECOND)
    assert again.freeze("BTC", NOW + 3 * SECOND).open_interest[0] == 8.0


@pytest.mark.parametrize("damaged", [b"", b"?", encode_options(StoredOptions((A,), {"sigma": np.zeros(2)}))])
def test_damaged_options_are_named_and_the_rest_is_kept(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the stored quotes are damaged$"):
        decode_options(damaged)
    states = {"BTC": replace(FlowState.initial(), book=book_of(1))}
    checkpoint = PositionsCheckpoint.from_states("host", "x", 2, states, None)
    stored = checkpoint.underlyings["BTC"]
    other = replace_flow(
        checkpoint, UnderlyingCheckpoint(stored.positions, stored.newest_ms, stored.flow, damaged or b"?")
    )
    restored = decode_checkpoint(encode_checkpoint(other))
    assert restored.problems == ("BTC: the stored quotes are damaged",)
    assert restored.options == {}
    assert restored.states["BTC"].book.seq.max() == 1


def replace_flow(checkpoint: PositionsCheckpoint, underlying: UnderlyingCheckpoint) -> PositionsCheckpoint:
    return PositionsCheckpoint(
        checkpoint.version, checkpoint.exchange, checkpoint.rests_on, checkpoint.saved_ns, {"BTC": underlying}
    )
