"""The filter language: what passes, what a row does not know, and one sentence for what means nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.errors import UsageError
from dfmon.model.snapshot import Detail
from dfmon.model.units import sanitize
from dfmon.tui.filters import FILTER_FIELDS, ListName, parse_filter

from . import factory

TAPE, POSITIONS = factory.tape(400), factory.positions()


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("put", lambda r: r.option_type == "put"),
        ("C", lambda r: r.option_type == "call"),
        ("type!=calls", lambda r: r.option_type == "put"),
        ("strike>=98k", lambda r: r.strike >= 98_000),
        ("98000", lambda r: r.strike == 98_000),
        ("98,000 put", lambda r: r.strike == 98_000 and r.option_type == "put"),
        ("04DEC", lambda r: r.expiry == "4DEC26"),
        ("exp=4dec26", lambda r: r.expiry == "4DEC26"),
        ("exp!=27NOV", lambda r: r.expiry != "27NOV26"),
        ("net<-200 oi>1,000", lambda r: r.net < -200 and r.open_interest > 1000),
        ("long>=40% long<=60%", lambda r: 0.4 <= r.p_long <= 0.6),
        ("seen=0", lambda r: r.seen == 0),
        ("", lambda r: True),
    ],
)
def test_options(text: str, passes: Callable[[Any], bool]) -> None:
    row_filter = parse_filter(text, "positions")
    assert [row_filter(row) for row in POSITIONS] == [passes(row) for row in POSITIONS]
    assert len({row_filter(row) for row in POSITIONS}) == (2 if text else 1)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("qty>=40 side=buy", lambda r: r.size >= 40 and r.side > 0),
        ("sell block", lambda r: r.side < 0 and r.block),
        ("combo", lambda r: r.combo),
        ("iv<50%", lambda r: True),
    ],
)
def test_prints(text: str, passes: Callable[[Any], bool]) -> None:
    row_filter = parse_filter(text, "tape")
    assert [row_filter(row) for row in TAPE] == [passes(row) for row in TAPE]


def test_what_is_not_known_passes_no_comparison() -> None:
    detail = factory.conventional().detail
    assert isinstance(detail, Detail)
    for text in ("long>=0", "long<1", "long!=7", "seen>=0"):
        assert not any(parse_filter(text, "positions")(row) for row in detail.positions)


@pytest.mark.parametrize(
    ("text", "list_name", "message"),
    [
        ("strik>9", "positions", 'unknown filter "strik>9"'),
        ("side=buy", "positions", 'unknown filter "side=buy"'),
        ("net>much", "positions", 'net needs a number such as 10, 98k or 40%, not "much"'),
        ("exp>28NOV", "tape", "exp takes = or !=: exp=28NOV or exp!=28NOV"),
        ("block=yes", "tape", 'unknown filter "block=yes"'),
        ("\x1b[2J", "tape", 'unknown filter "?[2J"'),
    ],
)
def test_mistakes_get_one_sentence(text: str, list_name: ListName, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_filter(text, list_name)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@given(st.text(max_size=40), st.sampled_from(tuple(FILTER_FIELDS)))
def test_any_text_is_a_filter_or_a_sentence(text: str, list_name: ListName) -> None:
    rows, message = TAPE if list_name == "tape" else POSITIONS, ""
    try:
        row_filter = parse_filter(text, list_name)
    except UsageError as error:
        message = str(error)
    else:
        assert all(isinstance(row_filter(row), bool) for row in rows[:20])
    assert sanitize(message) == message
