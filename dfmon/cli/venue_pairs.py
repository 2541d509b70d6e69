"""Text of boards of two venues side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dfmon.evidence.venue_pairs import DELTAS, VenueBook, VenuePair

_BASIS_POINTS = 1e4


def pair_lines(pairs: Sequence[VenuePair], first: str, second: str) -> Iterator[str]:
    """The pairs of each underlying: medians, and where there are several the range from the lowest to the highest."""
    for name in dict.fromkeys(pair.underlying for pair in pairs):
        yield from _lines([pair for pair in pairs if pair.underlying == name], name, first, second)


def _lines(pairs: Sequence[VenuePair], name: str, first: str, second: str) -> Iterator[str]:
    several = f"{len(pairs)} pairs of boards, {pairs[0].first.ts} to {pairs[-1].first.ts}, medians and ranges"
    single = f"{pairs[0].first.ts} and {pairs[0].second.ts}"
    yield f"{name}: {several if len(pairs) > 1 else single}"
    yield f"  {'':<34}{first:>34}{second:>34}"
    for title, value in _ROWS.items():
        yield f"  {title:<34}" + "".join(
            f"{_text([value(book) for book in books]):>34}"
            for books in ([pair.first for pair in pairs], [pair.second for pair in pairs])
        )
    yield f"  share of {second} in open interest: {_text([100.0 * pair.share for pair in pairs], '.1f')} %"
    yield f"  gross gamma, {second} over {first}: {_text([pair.gross_ratio for pair in pairs], '.3f')}"
    yield f"  correlation of the naive profiles, spot within 20 %: {_text([p.correlation for p in pairs], '.2f')}"
    expiries = [expiry for pair in pairs for expiry in pair.expiries]
    if not expiries:
        yield "  no expiry of the same day on both"
        return
    basis = [_BASIS_POINTS * (e.other_forward / e.forward - 1.0) for e in expiries]
    yield f"  forward, {second} less {first}, bp: {_text(basis, '.1f')} over {len(expiries)} pairs of expiries"
    yield f"  volatility at deltas, {second} less {first}, points:"
    for n, (title, _) in enumerate(DELTAS):
        yield f"    {title:<4} {_text([e.iv[n] for e in expiries], '+.2f')}"
    if len(pairs) == 1:
        yield f"\n  {'expiry':<10}{'forward':>14}{'':>14}{'coins':>14}{'':>14}"
        for e in expiries:
            yield (
                f"  {e.expiry:<10}{e.forward:>14,.2f}{e.other_forward:>14,.2f}{e.interest:>14,.0f}"
                f"{e.other_interest:>14,.0f}"
            )


def _text(values: Sequence[float | None], form: str = ",.0f") -> str:
    """The median, and the 5 and 95 % quantiles of several."""
    known = [value for value in values if value is not None]
    if not known:
        return "n/a"
    middle = format(float(np.median(known)), form)
    if len(values) == 1:
        return middle
    low, high = (format(float(np.quantile(known, q)), form) for q in (0.05, 0.95))
    return f"{middle} [{low}, {high}]"


_ROWS: dict[str, Callable[[VenueBook], float | None]] = {
    "options": lambda book: float(book.options),
    "open interest, coins": lambda book: book.interest,
    "naive NGI, k USD/1 %": lambda book: book.ngi / 1e3,
    "gross gamma, k USD/1 %": lambda book: book.gross / 1e3,
    "naive flip nearest to spot": lambda book: book.flip,
    "spot, or the nearest future": lambda book: book.spot,
}
