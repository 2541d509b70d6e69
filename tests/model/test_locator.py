"""Locators: every one reads back as itself, and every mistake is one sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfmon.model.errors import UsageError
from dfmon.model.locator import EVERYWHERE, FORMS, SCREENS, Locator, make_locator, parse_locator
from dfmon.model.units import sanitize


@st.composite
def locators(draw: st.DrawFn) -> Locator:
    screen = draw(st.sampled_from(sorted(SCREENS)))
    names = (*SCREENS[screen], *EVERYWHERE)
    chosen = draw(st.lists(st.sampled_from(names), unique=True))
    values = {name: draw(st.from_regex(FORMS[name].pattern, fullmatch=True).filter(_is_short)) for name in chosen}
    coin = draw(st.from_regex(r"[A-Z0-9]{2,10}", fullmatch=True).filter(str.isascii))
    return Locator(coin, screen, tuple((name, values[name]) for name in names if name in values))


def _is_short(text: str) -> bool:
    return text.isascii() and len(text) <= 64


@given(locators())
def test_a_locator_reads_back_as_itself(locator: Locator) -> None:
    assert parse_locator(str(locator)) == locator
    assert make_locator(locator.coin, locator.screen, dict(locator.parameters)) == locator


@pytest.mark.parametrize("expiry", ["00AAA00", "0FEB26", "006FEB26", "32FEB26"])
def test_an_expiry_has_a_day_of_a_month(expiry: str) -> None:
    with pytest.raises(UsageError, match="an expiry such as 27NOV26"):
        parse_locator(f"dfmon://BTC/smile?expiry={expiry}")


@given(st.text(max_size=60))
def test_any_text_is_a_locator_or_one_sentence(text: str) -> None:
    for candidate in (text, f"dfmon://{text}", f"dfmon://BTC/heatmap?{text}", f"dfmon://BTC/explain?name={text}"):
        try:
            assert parse_locator(str(parse_locator(candidate))) == parse_locator(candidate)
        except UsageError as error:
            sentence = str(error)
            assert "allowed: " in sentence
            assert sentence == sanitize(sentence, 5_000)


def test_order_and_names_of_layers_are_one_form() -> None:
    given_text = "dfmon://BTC/heatmap?at=2026-11-22T14:03:07Z&strike=90000&layer=vanna"
    assert str(parse_locator(given_text)) == "dfmon://BTC/heatmap?layer=vss&strike=90000&at=2026-11-22T14:03:07Z"
    assert parse_locator("dfmon://ETH") == parse_locator("dfmon://ETH/") == Locator("ETH", "main")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://BTC/heatmap", '"https://BTC/heatmap" is no locator, allowed: dfmon://COIN/SCREEN?NAME=VALUE'),
        ("dfmon://btc/heatmap", 'the coin is "btc", allowed: upper case such as BTC'),
        ("dfmon://BTC/heat", 'the screen is "heat", allowed: main, chart, heatmap, '),
        ("dfmon://BTC/heatmap?colour=red", 'heatmap has no "colour", allowed: layer, expiry, strike, model, at'),
        ("dfmon://BTC/heatmap?layer=gex", 'layer is "gex", allowed: ngi, vss, chl, volg'),
        ("dfmon://BTC/heatmap?strike=1&strike=2", "strike is there twice, allowed: once"),
        ("dfmon://BTC/main?at=yesterday", 'at is "yesterday", allowed: a UTC time such as 2026-01-22T12:30:41Z'),
        ("dfmon://BTC/what-if?spot=+4", 'spot is "+4", allowed: a number such as -4 or 0.5'),
    ],
)
def test_a_mistake_says_what_was_found_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_locator(text)
    assert message in str(raised.value)
