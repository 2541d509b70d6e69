"""Marks read by the shape of the frame before: the numbers are those of a JSON reader, or nothing is read so."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.events import OptionMarks
from dfmon.venues.decoding import UNREADABLE
from dfmon.venues.deribit.marks import FrameTemplate, MarksDecoder
from tests.venues.venue_golden import BAD, ODD, mutations, plain

T_MS = 1_794_830_405_123
NAMES = [f"BTC-{day}NOV26-{strike}-{kind}" for day in (6, 27) for strike in (9_500, 95_000, 110_000) for kind in "CP"]
REST = 100

decimals = st.from_regex(r"\A(0|[1-9][0-9]{0,3})\.[0-9]{1,4}\Z", fullmatch=True).filter(lambda text: len(text) <= 8)


def frame_of(names: list[str], ivs: list[str], prices: list[str], time: int = T_MS) -> bytes:
    """A frame in the venue's spelling, with the numbers as they are given."""
    rows = ",".join(
        f'{{"timestamp":{time},"iv":{iv},"instrument_name":"{name}","mark_price":{price}}}'
        for name, iv, price in zip(names, ivs, prices, strict=True)
    )
    params = f'{{"channel":"markprice.options.btc_usd","data":[{rows}]}}'
    return f'{{"jsonrpc":"2.0","method":"subscription","params":{params}}}'.encode()


def ordinary(seed: int = 1) -> bytes:
    rng = random.Random(seed)
    ivs = [f"{rng.uniform(0.2, 2.0):.4f}".rstrip("0") for _ in NAMES]
    prices = [f"{rng.uniform(0.0005, 1.4):.4f}" for _ in NAMES]
    return frame_of(NAMES, ivs, prices, T_MS + seed)


def trained(frame: bytes) -> MarksDecoder:
    marks = MarksDecoder()
    for _ in range(2):
        marks.decode_frame(frame)
    return marks


def decoded(marks: MarksDecoder, frame: bytes) -> Any:
    """What is made of a frame, or that it is none."""
    try:
        event, bad = marks.decode_frame(frame)
    except UNREADABLE:
        return "unreadable"
    return plain([*([event] if event else []), *bad])


@pytest.mark.slow
@given(st.lists(st.tuples(decimals, decimals), min_size=1, max_size=12))
def test_numbers_are_those_of_a_json_reader_bit_for_bit(numbers: list[tuple[str, str]]) -> None:
    names = NAMES[: len(numbers)]
    frame = frame_of(names, [iv for iv, _ in numbers], [price for _, price in numbers])
    decode_frame = FrameTemplate(names, frame_of(names, ["0.5"] * len(names), ["1.25"] * len(names))).numbers(frame)
    assert decode_frame is not None
    assert decode_frame.T.tolist() == [[float(iv), float(price)] for iv, price in numbers]


@given(st.text('0123456789.-+eE ,]}"\\n', min_size=1, max_size=9))
def test_what_is_no_such_number_is_left_to_the_strict_reader(text: str) -> None:
    frame = frame_of(NAMES, ["0.5"] * len(NAMES), [*["0.25"] * (len(NAMES) - 1), text])
    decode_frame = FrameTemplate(NAMES, ordinary()).numbers(frame)
    if decode_frame is not None:
        assert decode_frame[1].tolist() == [row["mark_price"] for row in json.loads(frame)["params"]["data"]]


def test_a_repeated_chain_is_read_by_its_shape_and_another_one_is_not() -> None:
    first, second = ordinary(1), ordinary(2)
    shape = FrameTemplate(NAMES, first)
    assert shape.numbers(second) is not None
    assert decoded(trained(first), second) == decoded(MarksDecoder(), second)
    for other in (
        frame_of(NAMES[::-1], ["0.5"] * 12, ["0.5"] * 12),
        frame_of(NAMES[:-1], ["0.5"] * 11, ["0.5"] * 11),
        first.replace(b"btc_usd", b"eth_usd"),
        first.replace(b'"iv":', b'"iv": ', 1),
        first.replace(str(T_MS + 1).encode(), str(T_MS + 2).encode(), 1),
        first.replace(str(T_MS + 1).encode(), b"0000000000001"),
    ):
        assert shape.numbers(other) is None
        assert decoded(trained(first), other) == decoded(MarksDecoder(), other)


def test_an_iv_of_zero_is_none() -> None:
    frame = frame_of(NAMES, ["0.0", *["0.5"] * 11], ["0.25"] * 12)
    event, _ = trained(ordinary()).decode_frame(frame)
    assert isinstance(event, OptionMarks)
    assert np.isnan(event.mark_iv).tolist() == [True, *[False] * 11]


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_frame_is_read_as_the_strict_reader_does(seed: int) -> None:
    marks, frame = trained(ordinary(1)), ordinary(seed)
    for damaged in mutations(frame, 600):
        assert decoded(marks, damaged) == decoded(MarksDecoder(), damaged), damaged
        marks = trained(ordinary(1))


@pytest.mark.parametrize("value", [*BAD, *ODD, b".5", b"5.", b"00.5", b"1.2.3", b"0.12345678", b"1e-4", b"0x1p3"])
@pytest.mark.parametrize("what", [b'"iv":', b'"mark_price":'])
def test_an_odd_value_is_read_as_the_strict_reader_does(value: bytes, what: bytes) -> None:
    frame = ordinary(3)
    for place in (0, 5, 11):
        parts = frame.split(what)
        tail = parts[place + 1]
        parts[place + 1] = value + tail[min(at for at in (tail.find(b","), tail.find(b"}")) if at >= 0) :]
        odd = what.join(parts)
        assert decoded(trained(ordinary(1)), odd) == decoded(MarksDecoder(), odd)


def test_a_chain_whose_numbers_do_not_fit_is_tried_again_only_now_and_then() -> None:
    long = frame_of(NAMES, ["0.5"] * 12, ["12345.6789"] * 12)
    marks, tries = trained(long), []

    class Counted(FrameTemplate):
        def numbers(self, frame: bytes) -> Any:
            tries.append(frame)
            return super().numbers(frame)

    marks._template = Counted(NAMES, long)
    for _ in range(2 * REST):
        event, _ = marks.decode_frame(long)
        assert event is not None
    assert len(tries) == 2
    assert decoded(marks, ordinary(2)) == decoded(MarksDecoder(), ordinary(2))
