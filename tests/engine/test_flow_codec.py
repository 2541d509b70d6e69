"""State that a restart finds again: a run that goes on from its bytes equals one that never stopped, bit for bit."""

from __future__ import annotations

import math
import random
from dataclasses import fields, replace

import numpy as np
import pytest

from dfmon.core.positions.position_book import PositionBook
from dfmon.core.step import FlowParams, FlowState, step
from dfmon.engine.flow_codec import decode_flow, encode_flow
from dfmon.model.frames import ChainFrame
from dfmon.model.state_codec import decode_array, field_lines
from dfmon.model.units import SECOND
from tests.chains import NOW, SPOT, frame, market, trade_columns

TICKS = 120
PARAMS = FlowParams()


def boards() -> list[ChainFrame]:
    """A market that moves, with a print every few ticks of half a minute each."""
    rng = random.Random(12)
    made = []
    for i in range(TICKS):
        spot = SPOT * math.exp(0.02 * math.sin(i / 9.0) + 0.001 * rng.random())
        prints = trade_columns([rng.randrange(42)], [rng.choice([1, -1])], [rng.random()], seq=[i + 1], key=[i + 1])
        quotes = frame(spot=spot, ts_ns=NOW + 30 * i * SECOND, trades=prints if i % 3 == 0 else trade_columns())
        made.append(replace(quotes, sigma=quotes.sigma * (1.0 + 0.05 * math.sin(i / 7.0))))
    return made


def state_after(chains: list[ChainFrame]) -> FlowState:
    state = FlowState.initial()
    for seq, chain in enumerate(chains, 1):
        state, _ = step(state, chain, market(), (), PARAMS, seq)
    return state


def digests(state: FlowState, chains: list[ChainFrame], first_seq: int) -> list[str]:
    found = []
    for seq, chain in enumerate(chains, first_seq):
        state, snapshot = step(state, chain, market(), (), PARAMS, seq)
        found.append(snapshot.digest())
    return found


CUTS = (1, 17, 61, 100)


@pytest.fixture(scope="module")
def straight() -> tuple[dict[int, FlowState], list[str]]:
    """States at the cuts and at the end of a run without a break, and the digest of each snapshot."""
    state, kept, found = FlowState.initial(), dict[int, FlowState](), list[str]()
    for seq, chain in enumerate(boards(), 1):
        state, snapshot = step(state, chain, market(), (), PARAMS, seq)
        found.append(snapshot.digest())
        if seq in (*CUTS, TICKS):
            kept[seq] = state
    return kept, found


@pytest.mark.slow
@pytest.mark.parametrize("cut", CUTS)
def test_a_restart_between_two_ticks_changes_no_later_snapshot(
    cut: int, straight: tuple[dict[int, FlowState], list[str]]
) -> None:
    states, expected = straight
    restored = decode_flow(encode_flow(states[cut]), states[cut].book)
    assert digests(restored, boards()[cut:], cut + 1) == expected[cut:]


@pytest.mark.slow
def test_every_field_of_the_state_is_stored(straight: tuple[dict[int, FlowState], list[str]]) -> None:
    state = straight[0][TICKS]
    initial = FlowState.initial()
    restored = decode_flow(encode_flow(state), state.book)
    for field in fields(FlowState):
        assert repr(getattr(state, field.name)) != repr(getattr(initial, field.name)), f"{field.name} never changed"
        assert repr(getattr(restored, field.name)) == repr(getattr(state, field.name)), field.name


def test_bytes_of_other_fields_are_refused_in_one_sentence() -> None:
    data = bytearray(encode_flow(FlowState.initial()))
    data[0] ^= 1
    with pytest.raises(ValueError, match=r"^the stored state of scenario and pressure is of another version$"):
        decode_flow(bytes(data), PositionBook.empty())


@pytest.mark.parametrize("cut", [8, 9, 40, -1])
def test_torn_bytes_are_refused_in_one_sentence(cut: int) -> None:
    data = encode_flow(FlowState.initial())
    with pytest.raises(ValueError, match=r"^the stored state of scenario and pressure is damaged$"):
        decode_flow(data[:cut], PositionBook.empty())


@pytest.mark.slow
def test_the_state_of_a_day_is_small(straight: tuple[dict[int, FlowState], list[str]]) -> None:
    assert len(encode_flow(straight[0][TICKS])) < 2_000_000


@pytest.mark.slow
def test_arrays_come_back_with_their_shape_and_type() -> None:
    state = state_after(boards()[:20])
    restored = decode_flow(encode_flow(state), state.book)
    assert restored.path.times.dtype == np.int64
    assert restored.path.values.shape == state.path.values.shape


@pytest.mark.parametrize("dtype", ["print(1)", "{'a", "O", "|O8", "<f3", "", "<f8,<f8", "<M8[ns]", "<f8\n"])
def test_types_of_arrays_that_no_state_has_are_refused(dtype: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        decode_array(None, (dtype, [1], bytes(8)))


def test_the_digest_covers_the_fields_of_nested_types_and_leaves_the_positions_to_their_own_codec() -> None:
    lines = list(field_lines(FlowState, set(), (PositionBook,)))
    assert len(lines) == len(set(lines))
    assert {line.split(".")[0] for line in lines} >= {"FlowState", "BookChanges", "BookSample", "Roll"}
    assert "BookSample.ts_ns: <class 'int'>" in lines  # inside of a tuple
    assert "Roll.gamma_gone: <class 'float'>" in lines  # inside of a union
    assert "FlowState.book: <class 'dfmon.core.positions.position_book.PositionBook'>" in lines
    assert not [line for line in lines if line.startswith("PositionBook.")]


def test_the_digest_takes_eight_bytes() -> None:
    data = encode_flow(FlowState.initial())
    assert decode_flow(data, PositionBook.empty()) is not None
    for at in range(8):
        with pytest.raises(ValueError, match="of another version"):
            decode_flow(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], PositionBook.empty())
