"""Names of options in files of positions, as Deribit, ccxt and people write them, made Deribit's."""

from __future__ import annotations

import re
from typing import Final

from dfmon.model.units import MONTHS

_DERIBIT: Final = re.compile(
    r"(?P<base>[A-Z0-9]{2,10})(?:_(?P<quote>[A-Z]{3,5}))?-(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d\d)"
    r"-(?P<strike>\d+(?:[D.]\d+)?)-(?P<type>C|P|CALL|PUT)"
)
_CCXT: Final = re.compile(
    r"(?P<base>[A-Z0-9]{2,10})/[A-Z]{3,5}:(?P<quote>[A-Z0-9]{2,10})-(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)"
    r"-(?P<strike>\d+(?:\.\d+)?)-(?P<type>[CP])"
)
_FUTURE: Final = re.compile(
    r"[A-Z0-9]{2,10}(?:_[A-Z]{3,5})?-(?:PERPETUAL|\d{1,2}[A-Z]{3}\d\d|FS-\S+)"
    r"|[A-Z0-9]{2,10}/[A-Z]{3,5}(?::[A-Z0-9]{2,10}(?:-\d{6})?)?"
)


def option_name(text: str) -> str | None:
    """Deribit's name of an option, from a name in any case or ccxt's symbol; None for another name.

    >>> option_name("btc-07jan26-100000-c"), option_name("XRP/USDC:USDC-260921-1.325-P")
    ('BTC-7JAN26-100000-C', 'XRP_USDC-21SEP26-1d325-P')
    """
    name = text.strip().upper()
    found = _DERIBIT.fullmatch(name) or _CCXT.fullmatch(name)
    if found is None:
        return None
    month = found["month"]
    if month.isdigit():
        if not 1 <= int(month) <= len(MONTHS):
            return None
        month = MONTHS[int(month) - 1]
    quote = found["quote"] if found["quote"] and found["quote"] != found["base"] else ""
    pair = f"{found['base']}_{quote}" if quote else found["base"]
    strike = found["strike"].replace("D", "d").replace(".", "d")
    return f"{pair}-{int(found['day'])}{month}{found['year']}-{strike}-{found['type'][0]}"


def is_future_name(text: str) -> bool:
    """True for the name of a perpetual, a dated future or a spread of them."""
    return _FUTURE.fullmatch(text.strip().upper()) is not None
