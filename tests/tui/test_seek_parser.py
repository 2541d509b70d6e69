"""Times that people type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize
from dfmon.tui.seek_parser import parse_seek

from .factory import NOW


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13:41", "2026-11-22T13:41:00Z"),
        (" 7:05:30 ", "2026-11-22T07:05:30Z"),
        ("2026-11-20 00:00", "2026-11-20T00:00:00Z"),
        ("2026-11-20T23:59:59.5z", "2026-11-20T23:59:59.500000Z"),
        ("+5m", "+300"),
        ("-1h", "-3600"),
        ("-1.5D", "-129600"),
        ("+90", "+90"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert parse_seek(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "25:00", "13:60", "noon", "2026-02-30 08:00", "60", "+5y", "13:41 CET", "١٣:٤١"])
def test_what_is_no_time_gets_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"invalid time .* \(UTC\): 13:41"):
        parse_seek(text, NOW)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_sentence(text: str) -> None:
    message = ""
    try:
        parse_seek(text, NOW)
    except UsageError as error:
        message = str(error)
    assert sanitize(message) == message
