"""The book of positions across frames: rows by name, cuts of the stream, whole lives, losses, and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.core.positions import position_book
from dfmon.core.positions import position_state as columns
from dfmon.core.positions.book_codec import MAGIC, OtherVersionError, decode_book, encode_book
from dfmon.core.positions.netting_filter import VAR_Q
from dfmon.core.positions.position_book import PositionBook, advance_book
from dfmon.core.positions.position_state import PositionState
from dfmon.core.positions.print_kinds import PositionPriors, print_kinds
from dfmon.core.positions.replay import STEPS, advanced
from dfmon.model.frames import ChainFrame, TradeColumns, TradeHistory
from dfmon.model.units import HOUR, MINUTE, NAN, SECOND
from tests.chains import NOW, frame, permuted, trade_columns

BOARD = frame(days=(9.0, 37.0))
N = BOARD.size
PRIORS = PositionPriors()


def prints(rng: np.random.Generator, count: int, row: int | None = None, start_ns: int = NOW) -> TradeColumns:
    """Random prints within half a minute of `start_ns`, in order."""
    rows = rng.integers(0, N, count) if row is None else np.full(count, row)
    return trade_columns(
        rows.tolist(), rng.choice([1, -1], count).tolist(), rng.uniform(0.1, 9.0, count).tolist(),
        exch_ns=(start_ns + 1 + np.sort(rng.integers(0, 30, count)) * SECOND).tolist(),
        block=(rng.random(count) < 0.2).tolist(), combo=(rng.random(count) < 0.2).tolist(),
    )  # fmt: skip


def shown(board: ChainFrame, seconds: float, growth: float = 1.0) -> ChainFrame:
    """The board some seconds on, with open interest just shown."""
    ts_ns = NOW + round(seconds * SECOND)
    interest = board.open_interest * growth
    return replace(
        board, ts_ns=ts_ns, open_interest=interest, interest=interest, interest_ns=np.full(board.size, ts_ns)
    )


def book_of(*frames: ChainFrame, start: PositionBook | None = None) -> PositionBook:
    book = start or PositionBook.empty()
    for one in frames:
        book = advance_book(book, one, PRIORS)
    return book


def assert_same_positions(first: PositionBook, second: PositionBook) -> None:
    """Equal to the bit, whatever the order of the rows."""
    assert set(first.names) == set(second.names)
    at = [second.names.index(name) for name in first.names]
    for name in ("net", "low", "high", "p_long", "members"):
        np.testing.assert_array_equal(getattr(first.estimate, name), getattr(second.estimate, name)[at], err_msg=name)
    for name in ("interest", "first_interest", "last_ns", "sums"):
        np.testing.assert_array_equal(getattr(first.state, name), getattr(second.state, name)[at], err_msg=name)
    np.testing.assert_array_equal(first.state.moments, second.state.moments[:, :, at])
    np.testing.assert_array_equal(first.seq, second.seq[at])
    np.testing.assert_array_equal(first.lost, second.lost[at])


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 40), max_size=4))
def test_splitting_prints_over_ticks_changes_no_bit(seed: int, cuts: list[int]) -> None:
    traded = prints(np.random.default_rng(seed), 40)
    start, last = book_of(BOARD), shown(BOARD, 60.0, 1.1)
    once = book_of(replace(last, trades=traded), start=start)
    parts = start
    for a, b in pairwise([0, *sorted(cuts), 40]):
        parts = book_of(replace(BOARD, ts_ns=NOW + 31 * SECOND, trades=traded.rows(np.arange(a, b))), start=parts)
    assert encode_book(book_of(last, start=parts)) == encode_book(once)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.permutations(range(N)))
def test_a_restart_equals_no_restart_however_options_are_numbered(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    before = book_of(BOARD, replace(shown(BOARD, 40.0), trades=prints(rng, 30)))
    later = replace(shown(BOARD, 3 * 3600.0, 1.1), trades=prints(rng, 9, start_ns=NOW + 3 * HOUR - MINUTE))
    mixed = permuted(later, np.array(order))
    mixed = replace(mixed, uid=mixed.uid + 1000, trades=replace(later.trades, uid=later.trades.uid + 1000))
    restored = decode_book(encode_book(before), "BTC")
    np.testing.assert_array_equal(restored.estimate.members, before.estimate.members)
    assert_same_positions(book_of(mixed, start=restored), book_of(later, start=before))


def test_options_numbered_in_another_way_from_the_start_have_the_same_positions() -> None:
    rng = np.random.default_rng(8)
    frames = [BOARD, replace(shown(BOARD, 40.0, 1.2), trades=prints(rng, 60)), shown(BOARD, 2 * 3600.0, 1.3)]
    order = rng.permutation(N)
    assert_same_positions(book_of(*(permuted(one, order) for one in frames)), book_of(*frames))


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: data[:-1],
        lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
        lambda data: b"",
        lambda data: b"not a state at all",
    ],
)
def test_damaged_state_is_refused_in_one_sentence(harm: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ValueError, match="checksum") as caught:
        decode_book(harm(encode_book(book_of(BOARD))), "BTC")
    assert "\n" not in str(caught.value)


def test_a_book_of_another_version_is_not_called_damaged() -> None:
    data = encode_book(book_of(BOARD))
    body = b"?" + data[len(MAGIC) + 17 :]  # other fields
    other_fields = MAGIC + blake2b(body, digest_size=16).digest() + body
    for other in (b"book 2\n" + data[len(MAGIC) :], other_fields):
        with pytest.raises(OtherVersionError, match=r"^the stored positions are of another version of dfmon$"):
            decode_book(other, "BTC")


def test_every_field_of_the_state_is_stored() -> None:
    rng = np.random.default_rng(1)
    book = book_of(BOARD, replace(shown(BOARD, 40.0), trades=prints(rng, 60)), shown(BOARD, 3600.0))
    book = book_of(replace(BOARD, ts_ns=NOW + 3601 * SECOND, trades=prints(rng, 3, start_ns=NOW + HOUR)), start=book)
    restored = decode_book(encode_book(book), "BTC")
    for field in fields(PositionState):
        if field.name != "revision":  # counts anew
            assert repr(getattr(restored.state, field.name)) == repr(getattr(book.state, field.name)), field.name
    assert restored.state.pending.row.size == 3


def test_a_life_replaces_what_was_known_and_begins_at_zero() -> None:
    rng = np.random.default_rng(5)
    traded = prints(rng, 50, row=3, start_ns=NOW - 2 * HOUR)
    noise = book_of(BOARD, replace(shown(BOARD, 40.0), trades=prints(rng, 60)))
    after = book_of(replace(shown(BOARD, 60.0), trade_histories=(TradeHistory(3, traded),)), start=noise)
    assert after.full_history[3]
    assert (after.seen[3], after.seq[3]) == (1.0, 50)
    assert after.printed[3] == pytest.approx(float(traded.size.sum()))
    assert after.state.first_interest[3] == 0.0
    others = np.arange(N) != 3
    np.testing.assert_array_equal(after.state.moments[:, :, others], noise.state.moments[:, :, others])


def at(seconds: float, **columns: Any) -> ChainFrame:
    """The board some seconds on, without news of open interest."""
    return replace(BOARD, ts_ns=NOW + round(seconds * SECOND), **columns)


def test_a_life_of_many_prints_takes_some_ticks_and_ends_as_if_it_had_come_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(6)
    life = TradeHistory(3, prints(rng, 2 * STEPS + 9, row=3, start_ns=NOW - 2 * HOUR))
    traded = trade_columns([3, 4], [1, -1], [2.0, 3.0], seq=[600, 1], exch_ns=[NOW + 2 * SECOND] * 2)
    known = book_of(BOARD, replace(shown(BOARD, 1.0), trades=prints(rng, 60)))
    begun = book_of(at(60.0, trade_histories=(life,)), start=known)
    assert not begun.full_history[3]
    halfway = book_of(at(61.0, trades=traded), start=begun)
    assert not halfway.full_history[3]
    assert halfway.seq[3] == 600
    after = book_of(at(62.0), start=decode_book(encode_book(halfway), "BTC"))
    assert not after.replays.names
    one = np.array([1])
    once = book_of(at(60.0), at(61.0, trades=traded.rows(one)), start=known)
    monkeypatch.setattr(position_book, "advanced", partial(advanced, steps=10_000, events=10_000))
    once = book_of(at(62.0, trades=traded.rows(1 - one), trade_histories=(life,)), start=once)
    assert once.full_history[3]
    assert encode_book(after) == encode_book(once)


def test_prints_lost_during_a_replay_count_at_its_end() -> None:
    life = TradeHistory(3, prints(np.random.default_rng(6), STEPS + 9, row=3, start_ns=NOW - 2 * HOUR))
    begun = book_of(BOARD, at(1.0, trade_histories=(life,), lost_prints=np.where(np.arange(N) == 3, 2.0, 0.0)))
    assert begun.lost[3] == 0.0
    after = book_of(at(2.0), start=begun)
    assert after.lost[3] == pytest.approx(2.0 * life.trades.size.mean())


def test_an_option_that_expires_during_its_replay_leaves() -> None:
    life = TradeHistory(0, prints(np.random.default_rng(6), STEPS + 9, row=0, start_ns=NOW - 2 * HOUR))
    begun = book_of(BOARD, at(1.0, trade_histories=(life,)))
    assert begun.replays.names == BOARD.names[:1]
    after = book_of(replace(BOARD, ts_ns=int(BOARD.expiry_ns[0])), start=replace(begun))
    assert BOARD.names[0] not in after.names
    assert not after.replays.names


def test_a_life_that_comes_again_begins_anew() -> None:
    life = TradeHistory(3, prints(np.random.default_rng(6), STEPS + 9, row=3, start_ns=NOW - 2 * HOUR))
    short = replace(life, trades=life.trades.rows(np.arange(20)))
    begun = book_of(BOARD, at(1.0, trade_histories=(life,)))
    again = book_of(at(2.0, trade_histories=(short,)), start=begun)
    once = book_of(BOARD, at(1.0), at(2.0, trade_histories=(short,)))
    assert encode_book(again) == encode_book(once)


def test_an_empty_life_says_that_nobody_ever_traded_the_option() -> None:
    after = book_of(BOARD, replace(shown(BOARD, 1.0), trade_histories=(TradeHistory(3, trade_columns()),)))
    assert not after.estimate.members[3].any()
    assert after.seen[3] == 1.0
    assert not after.full_history[:3].any()


def test_a_listing_that_is_known_later_starts_at_zero_unless_prints_were_seen() -> None:
    traded = replace(shown(BOARD, 1.0), trades=trade_columns([4], [1], [2.0]))
    flags = np.isin(np.arange(N), [3, 4])
    after = book_of(BOARD, traded, replace(shown(BOARD, 2.0), full_history=flags, listed_ns=np.full(N, NOW - HOUR)))
    assert after.full_history.tolist() == (np.arange(N) == 3).tolist()
    assert not after.estimate.members[3].any()


def test_a_listing_that_flickers_keeps_what_was_known() -> None:
    seen = book_of(BOARD, replace(shown(BOARD, 1.0), trades=trade_columns([0], [1], [5.0])))
    gap = permuted(shown(BOARD, 2.0), np.arange(1, N))
    back = book_of(gap, shown(BOARD, 3.0), start=seen)
    np.testing.assert_array_equal(back.estimate.members, seen.estimate.members)
    assert back.frame_rows.tolist() == list(range(N))


def test_an_option_leaves_at_its_expiry_with_all_that_was_kept_of_it() -> None:
    traded = replace(shown(BOARD, 1.0), trades=trade_columns([0, N - 1], [1, 1], [3.0, 4.0], seq=[7, 9]))
    lossy = replace(shown(BOARD, 2.0), lost_prints=np.full(N, 1.0))
    expiry_ns = int(BOARD.expiry_ns.min())
    early = BOARD.expiry_ns == expiry_ns
    after = book_of(BOARD, traded, lossy, replace(shown(BOARD, 3.0), ts_ns=expiry_ns))
    assert after.names == tuple(name for name, gone in zip(BOARD.names, early.tolist()) if not gone)
    assert after.frame_rows[early].tolist() == [-1] * int(early.sum())
    assert after.seq.tolist() == [0] * (after.state.size - 1) + [9]
    assert after.lost.size == after.state.size


def test_lost_prints_count_at_the_size_of_a_typical_one() -> None:
    traded = replace(shown(BOARD, 1.0), trades=trade_columns([0, 0], [1, 1], [2.0, 4.0]))
    lost = np.where(np.arange(N) < 2, 2.0, 0.0)
    known = book_of(BOARD, traded)
    after = book_of(replace(shown(BOARD, 2.0), lost_prints=lost), start=known)
    assert after.lost[:3].tolist() == [6.0, 0.1 * BOARD.open_interest[1], 0.0]
    assert after.seen[0] == pytest.approx(known.seen[0] / 2.0)
    assert (after.state.moments[VAR_Q, :, 1] >= known.state.moments[VAR_Q, :, 1]).all()
    np.testing.assert_array_equal(after.state.moments[:, :, 2:], known.state.moments[:, :, 2:])


def test_open_interest_counts_once_by_the_time_of_the_venue() -> None:
    moved = shown(BOARD, 5.0, 1.5)
    book = book_of(BOARD, shown(BOARD, 4.5, 1.5), moved)
    assert book_of(replace(moved, ts_ns=NOW + 6 * SECOND), start=book).state.sums[:, columns.CHANGE].tolist() == (
        book.state.sums[:, columns.CHANGE].tolist()
    )
    ahead = replace(moved, ts_ns=NOW + 4 * SECOND)  # of our clock: it waits
    assert not book_of(BOARD, ahead).state.sums[:, columns.CHANGE].any()
    late = replace(shown(BOARD, 6.0), interest_ns=np.full(N, NOW - SECOND))
    assert book_of(late, start=book).state.interest.tolist() == moved.open_interest.tolist()


def test_an_option_without_open_interest_is_not_taken_for_seen() -> None:
    unset = replace(BOARD, interest=np.full(N, NAN), interest_ns=np.zeros(N, np.int64))
    book = book_of(replace(unset, trades=trade_columns([0], [1], [1.0])))
    assert book.unobserved.all()
    assert not book.seen.any()


def test_a_tick_without_news_computes_nothing_again() -> None:
    book = book_of(BOARD)
    assert book_of(replace(BOARD, ts_ns=NOW + SECOND), start=book).estimate is book.estimate


def test_kinds_of_prints_by_the_flags_of_the_venue() -> None:
    flagged = trade_columns(
        [0] * 7, [1] * 7, [1.0] * 7,
        block=[False, True, True, False, True, False, False], rfq=[False, False, True, False, False, False, False],
        combo=[False, True, False, True, False, False, True], liquidation=["", "", "", "", "T", "M", "MT"],
    )  # fmt: skip
    assert print_kinds(flagged).tolist() == [0, 1, 2, 3, 4, 5, 6]
