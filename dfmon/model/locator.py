"""Locators: one text that names a view of a market for the screen, REST and the command line.

`dfmon://BTC/heatmap?layer=vss&expiry=27NOV26&at=2026-01-22T12:30:41Z`: a coin, a screen, and its parameters. Without
`at` it is the view of now. Values are of letters, digits and `.,:_-`, so nothing in a locator is ever escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from dfmon.model.errors import UsageError
from dfmon.model.units import sanitize

SCHEME: Final = "dfmon://"
SHAPE: Final = "dfmon://COIN/SCREEN?NAME=VALUE&NAME=VALUE"
EVERYWHERE: Final = ("model", "at")
WHAT_IF: Final = ("spot", "vol", "hours", "positions", "numeraire", "stickiness", "share", "law", "desks")
SCREENS: Final[Mapping[str, tuple[str, ...]]] = {
    "main": (),
    "chart": ("span",),
    "heatmap": ("layer", "expiry", "strike"),
    "gauges": (),
    "tape": (),
    "profile": (),
    "alerts": (),
    "positions": ("expiry",),
    "coins": (),
    "forward": (),
    "settlement": (),
    "vol": (),
    "smile": ("expiry",),
    "transitions": (),
    "feeds": (),
    "what-if": WHAT_IF,
    "explain": ("name",),
    "score": (),
}
"""The parameters of each screen, beside those of EVERYWHERE."""
LAYER_ALIASES: Final = {"gamma": "ngi", "vanna": "vss", "charm": "chl", "volga": "volg"}


class Form(NamedTuple):
    """The values of a parameter: a pattern, and what is allowed in words."""

    pattern: str
    allowed: str


_COIN: Final = re.compile(r"[A-Z0-9]{2,10}", re.ASCII)
_VALUE: Final = re.compile(r"[A-Za-z0-9.,:_-]{1,64}", re.ASCII)
_NUMBERS: Final = Form(r"-?\d{1,12}(\.\d{1,9})?", "a number such as -4 or 0.5")
FORMS: Final[Mapping[str, Form]] = {
    "model": Form(r"flow|naive|short-all|file", "flow, naive, short-all or file"),
    "at": Form(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "a UTC time such as 2026-01-22T12:30:41Z"),
    "span": Form(r"5m|1h|4h|1d|7d", "5m, 1h, 4h, 1d or 7d"),
    "layer": Form(
        r"ngi|vss|chl|volg|oi|iv|volume|flow|change",
        "ngi, vss, chl, volg (or gamma, vanna, charm, volga), oi, iv, volume, flow or change",
    ),
    "expiry": Form(r"([1-9]|[12]\d|3[01])[A-Z]{3}\d\d", "an expiry such as 27NOV26"),
    "strike": Form(r"\d{1,9}(\.\d{1,9})?", "a strike such as 90000"),
    "name": Form(r"[a-z][a-z0-9_]{1,30}", "a number or word such as ngi or regime"),
    **dict.fromkeys(("spot", "vol", "hours", "share"), _NUMBERS),
    "positions": Form(r"flow|naive|short-all|file", "flow, naive, short-all or file"),
    "numeraire": Form(r"usd|coin", "usd or coin"),
    "stickiness": Form(r"strike|moneyness", "strike or moneyness"),
    "law": Form(r"linear|sqrt", "linear or sqrt"),
    "desks": Form(r"[\d.:,]+", "SHARE:RATIO:COST of each desk, such as 0.5:1:0,0.5:0:0"),
}
"""Of every parameter; ranges are those of what it is for."""


class Locator(NamedTuple):
    """A view: `parameters` by name, each of the screen or of EVERYWHERE."""

    coin: str
    screen: str = "main"
    parameters: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        return dict(self.parameters).get(name)

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.parameters)
        return f"{SCHEME}{self.coin}/{self.screen}{'?' if query else ''}{query}"


def make_locator(coin: str, screen: str, parameters: Mapping[str, object]) -> Locator:
    """The locator of values that may be of foreign text. Raises UsageError where one cannot be in a locator."""
    query = "&".join(f"{name}={value}" for name, value in parameters.items() if value not in (None, ""))
    return parse_locator(f"{SCHEME}{coin}/{screen}{'?' if query else ''}{query}")


def parse_locator(text: str) -> Locator:
    """The parts of a locator. Raises UsageError: what was found, and what is allowed.

    >>> parse_locator("dfmon://BTC/heatmap?strike=90000&layer=vanna")
    Locator(coin='BTC', screen='heatmap', parameters=(('layer', 'vss'), ('strike', '90000')))
    >>> str(parse_locator("dfmon://BTC/smile?expiry=06FEB26"))
    'dfmon://BTC/smile?expiry=6FEB26'
    """
    shown = f'"{sanitize(text, 80)}"'
    if not text.startswith(SCHEME):
        raise UsageError(f"{shown} is no locator, allowed: {SHAPE}")
    place, _, query = text.removeprefix(SCHEME).partition("?")
    coin, _, screen = place.partition("/")
    screen = screen.rstrip("/") or "main"
    if not _COIN.fullmatch(coin):
        raise UsageError(f'locator {shown}: the coin is "{sanitize(coin, 20)}", allowed: upper case such as BTC')
    if screen not in SCREENS:
        raise UsageError(f'locator {shown}: the screen is "{sanitize(screen, 20)}", allowed: {", ".join(SCREENS)}')
    names = (*SCREENS[screen], *EVERYWHERE)
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in names:
            raise UsageError(f'locator {shown}: {screen} has no "{sanitize(name, 20)}", allowed: {", ".join(names)}')
        if name in found:
            raise UsageError(f"locator {shown}: {name} is there twice, allowed: once")
        found[name] = _value(shown, name, value)
    return Locator(coin, screen, tuple((name, found[name]) for name in names if name in found))


def _value(shown: str, name: str, value: str) -> str:
    if name == "layer":
        value = LAYER_ALIASES.get(value, value)
    elif name == "expiry":
        value = value.removeprefix("0")
    form, allowed = FORMS[name]
    if not _VALUE.fullmatch(value) or not re.fullmatch(form, value, re.ASCII):
        raise UsageError(f'locator {shown}: {name} is "{sanitize(value, 30)}", allowed: {allowed}')
    return value
