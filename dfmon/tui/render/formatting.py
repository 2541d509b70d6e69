"""Runs and rows, and the formatters of numbers that all panels share.

A run is (text, style name), a row is a tuple of runs; a link may follow the style. Every character is one cell wide, so
`len` is the width; text from outside passes `cell_text` first. Numbers carry their sign, and an unknown value is `n/a`,
never 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from dfmon.model.positions import Positions
from dfmon.model.snapshot import Metric
from dfmon.model.units import MONTHS, sanitize, utc

Run = tuple[str, str]
Row = tuple[Run, ...]

_LINK: Final = "\x1f"  # between the style of a run and the command of a click on it
NOT_AVAILABLE: Final = "n/a"
_MIN_CUT: Final = 8  # cells: in fewer a cut word and its dots say nothing
_EXPIRY_LABEL = re.compile(r"(\d{1,2})([A-Z]{3})(\d\d)")
_ISO_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


def cell_text(text: str, limit: int = 200) -> str:
    """Text from outside, sanitized, one cell per character; cut at a word, where `limit` is under 8 anywhere."""
    safe = sanitize(text, limit)
    if len(text) > limit >= _MIN_CUT:
        safe = _shorten(safe, limit)
    if safe.isascii():
        return safe
    return "".join("?" if unicodedata.east_asian_width(c) in "WF" or unicodedata.combining(c) else c for c in safe)


def truncate(text: str, available: int) -> str:
    """The text cut at a word, with an ASCII ellipsis."""
    if len(text) <= available:
        return text
    return _shorten(text, available) if available >= _MIN_CUT else ""


def _shorten(text: str, width: int) -> str:
    return text[: width - 2].rsplit(" ", 1)[0].rstrip(" ,")[: width - 3] + " .."


def row_width(row: Iterable[Run]) -> int:
    return sum(len(text) for text, _ in row)


def fit(row: Iterable[Run], width: int, style: str = "text") -> Row:
    """The row cut or padded to exactly `width` cells; neighbours of one style become one run."""
    out: list[Run] = []
    remaining = width
    for text, name in row:
        part = text[:remaining]
        if not part:
            continue
        remaining -= len(part)
        if out and out[-1][1] == name:
            part = out.pop()[0] + part
        out.append((part, name))
    if remaining > 0:
        if out and out[-1][1] == style:
            out.append((out.pop()[0] + " " * remaining, style))
        else:
            out.append((" " * remaining, style))
    return tuple(out)


def linked(runs: Iterable[Run], command: str) -> list[Run]:
    """The runs with what a click on them does: a command of the command line, or the id of an action.

    Runs that have a link keep it.
    """
    return [(text, name if _LINK in name else f"{name}{_LINK}{command}") for text, name in runs]


def style_of(name: str) -> str:
    """The style of a run without its link."""
    return name.partition(_LINK)[0]


def link_at(row: Row, column: int) -> str:
    """The command of a click on a column; "" for none."""
    for text, name in row:
        if column < len(text):
            return name.partition(_LINK)[2]
        column -= len(text)
    return ""


def highlight(row: Row, text: str, style: str = "found") -> Row:
    """The row with every place of a text, in lower case, in another style."""
    out: list[Run] = []
    for run_text, name in row:
        folded, at = run_text.casefold(), 0
        while len(folded) == len(run_text) and (found := folded.find(text, at)) >= 0:
            out += [(run_text[at:found], name), (run_text[found : found + len(text)], style)]
            at = found + len(text)
        out.append((run_text[at:], name))
    return tuple((part, name) for part, name in out if part)


def justify(left: Iterable[Run], right: Iterable[Run], width: int, style: str = "text") -> Row:
    """`left` flush left and `right` flush right; the left side is cut where both do not fit."""
    tail = tuple(right)
    return (*fit(left, max(0, width - row_width(tail)), style), *fit(tail, min(width, row_width(tail)), style))


def join_by_priority(parts: Sequence[tuple[int, tuple[Run, ...]]], width: int, gap: int = 2) -> list[Run]:
    """Joins the parts that fit, in their order: lower ranks are placed first, rank 0 always."""
    available, selected = width + gap, set[int]()
    for i in sorted(range(len(parts)), key=lambda i: (parts[i][0], i)):
        rank, runs = parts[i]
        needed = row_width(runs) + gap
        if needed > gap and (rank == 0 or needed <= available):
            selected.add(i)
            available -= needed
    out: list[Run] = []
    for i in sorted(selected):
        if out:
            out.append((" " * gap, "text"))
        out.extend(parts[i][1])
    return out


def rows_to_text(rows: Iterable[Row]) -> str:
    """Rows as plain text."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)


def sign_style(value: float | None) -> str:
    if value is None or value == 0:
        return "text"
    return "pos" if value > 0 else "neg"


def format_signed(value: float, digits: int) -> str:
    """The value with its sign; none where it rounds to zero.

    >>> format_signed(-0.04, 1), format_signed(2.25, 1)
    ('0.0', '+2.2')
    """
    text = f"{value:+,.{digits}f}"
    return text[1:] if float(text.replace(",", "")) == 0 else text


def format_usd(value: float | None, plus: bool = True) -> str:
    """USD with a unit letter: -38.2M, 182M, +31.2B."""
    if value is None:
        return NOT_AVAILABLE
    size, letter = abs(value), ""
    for limit, name in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if size >= 0.9995 * limit:
            size, letter = size / limit, name
            break
    text = f"{size:.0f}" if size >= 99.95 or not letter else f"{size:.1f}"
    sign = "-" if value < 0 and float(text) else "+" if plus and float(text) else ""
    return f"{sign}{text}{letter}"


def format_coins(value: float | None, plus: bool = True) -> str:
    """Coins in at most eight characters.

    >>> format_coins(-610.25), format_coins(12_345.0, plus=False), format_coins(2_140_000.0), format_coins(0.0)
    ('-610.2', '12,345', '+2.14M', '0')
    """
    if value is None:
        return NOT_AVAILABLE
    size = abs(value)
    if size == 0.0:
        return "0"
    if size >= 999_999.5:
        text = f"{size / 1e6:.2f}M"
    elif size >= 99_999.5:
        text = f"{size / 1e3:.0f}K"
    else:
        text = f"{size:,.{2 if size < 9.995 else 1 if size < 999.95 else 0}f}"
    return f"{'-' if value < 0 else '+' if plus else ''}{text}"


def coverage_run(p: Positions) -> Run:
    """The share of open interest with a known history: "warming" until it is enough, then "covered".

    A board that does not show the sign of its positions says so.
    """
    if p.coverage is None:
        return f"{'warming' if p.warming else 'coverage'} {NOT_AVAILABLE}", "warn" if p.warming else "dim"
    share = format_percent(p.coverage, 0, plus=False)
    if p.warming:
        return f"warming {share}", "warn"
    return (f"covered {share}, {p.sign_caveat}", "warn") if p.sign_caveat else (f"covered {share}", "dim")


def format_percent(fraction: float | None, digits: int = 1, plus: bool = True) -> str:
    if fraction is None:
        return NOT_AVAILABLE
    text = format_signed(100 * fraction, digits)
    return f"{text if plus else text.lstrip('+')}%"


def format_points(value: float | None, digits: int = 1, *, plus: bool = False) -> str:
    """A decimal volatility in points: 37.4; a change of one with its sign: -0.6."""
    if value is None:
        return NOT_AVAILABLE
    return format_signed(100.0 * value, digits) if plus else f"{100.0 * value:.{digits}f}"


def format_price(value: float | None) -> str:
    """A spot price: one decimal from 1,000 on, more below."""
    if value is None:
        return NOT_AVAILABLE
    return f"{value:,.1f}" if value >= 1000 else f"{value:,.2f}" if value >= 10 else f"{value:.4f}"


def format_level(value: float | None) -> str:
    """A strike or flip level: whole dollars from 1,000 on, decimals below."""
    if value is None:
        return NOT_AVAILABLE
    return (
        f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:,.2f}" if value >= 10 else f"{value:.4f}"
    )


def format_duration(seconds: float | None) -> str:
    """Seconds in the two largest units: 0.4s, 42s, 21m, 17h56m, 3d4h."""
    if seconds is None:
        return NOT_AVAILABLE
    s = max(0.0, seconds)
    if s < 9.95:
        return f"{s:.1f}s"
    if s < 99.5:
        return f"{s:.0f}s"
    minutes = int(s // 60)
    if minutes < 100:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h{minutes % 60:02d}m" if hours < 48 else f"{hours // 24}d{hours % 24}h"


def format_bytes(count: int) -> str:
    for limit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= limit:
            return f"{count / limit:.1f} {name}" if count < 10 * limit else f"{count / limit:.0f} {name}"
    return f"{count / 1e3:.0f} kB"


def format_time(ts_ns: int, seconds: bool = True) -> str:
    return f"{utc(ts_ns):%H:%M:%S}" if seconds else f"{utc(ts_ns):%H:%M}"


def format_moment(ts_ns: int, now_ns: int) -> str:
    """A time of today to the second, an earlier one with its day: 11:04:41, 21 Jan 18:51."""
    moment = utc(ts_ns)
    return f"{moment:%H:%M:%S}" if moment.date() == utc(now_ns).date() else f"{moment:%d %b %H:%M}"


def short_expiry(label: str) -> str:
    """27NOV25 as 27NOV; other labels are cut.

    >>> short_expiry("2JAN26"), short_expiry("2026-01-02T08:00:00Z")
    ('02JAN', '02JAN')
    """
    if found := _EXPIRY_LABEL.fullmatch(label):
        day, month = int(found[1]), found[2]
    elif (found := _ISO_DATE.match(label)) and 1 <= int(found[2]) <= 12:
        day, month = int(found[3]), MONTHS[int(found[2]) - 1]
    else:
        return cell_text(label, 5)
    return f"{day:02d}{month}" if month in MONTHS else cell_text(label, 5)


def format_band(low: float | None, high: float | None) -> str:
    """`[+7.1M,+15.9M]`; empty where a bound is unknown."""
    return "" if low is None or high is None else f"[{format_usd(low)},{format_usd(high)}]"


def quality_mark(metric: Metric, stale: bool) -> str:
    """`~` older than its limit, `!` from incomplete inputs, blank otherwise."""
    if metric.value is None:
        return " "
    if stale or metric.quality == "stale":
        return "~"
    return "!" if metric.quality == "partial" else " "


def quality_style(metric: Metric, stale: bool) -> str:
    """The style of a metric's number: the colour of its sign, unless it is stale, partial or absent."""
    if metric.value is None:
        return "absent"
    if stale or metric.quality == "stale":
        return "dim"
    return "warn" if metric.quality == "partial" else sign_style(metric.value)
