"""Change of the book since earlier times: net gamma by strike and by expiry, and what an expiry took with it at 08:00.

Samples are kept once a minute for an hour, and one from the last roll on. Immutable, like all state of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from dfmon.model.frames import F64, I64
from dfmon.model.units import DAY, HOUR, MINUTE

LOOKBACKS: Final = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR)
SAMPLES: Final = 62  # an hour and a minute to either side
MAX_LAG: Final = 90  # seconds by which a sample may be older than its look-back
ROLL_TIME: Final = 8 * HOUR  # of the day, UTC
AVERAGING: Final = 30 * MINUTE  # up to an expiry


@dataclass(frozen=True, slots=True)
class BookSample:
    """Net gamma of one book, USD per +1 %: by strike, ascending, and by expiry, the nearest first.

    `unwind` (USD) and `open_interest` (coins) are by expiry.
    """

    ts_ns: int
    strikes: F64
    ngi_by_strike: F64
    expiries: I64
    ngi_by_expiry: F64
    unwind: F64
    open_interest: F64


@dataclass(frozen=True, slots=True)
class Roll:
    """The expiries that left the board at a roll, and those listed since.

    `gamma_gone` is their net gamma as the averaging began (USD per +1 %), `unwind` the hedge there was to lift then and
    `hedge_lifted` what was lifted from then on, each share at the delta of its time (USD, + dealers bought),
    `open_interest` that of the last tick that had them (coins).
    """

    ts_ns: int
    expired: tuple[int, ...]
    listed: tuple[int, ...]
    gamma_gone: float
    unwind: float
    hedge_lifted: float
    open_interest: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settlement under way: gamma and unwind of its expiry as the averaging began, the hedge lifted since (USD)."""

    expiry_ns: int
    gamma: float
    unwind: float
    lifted: float


@dataclass(frozen=True, slots=True)
class BookChanges:
    """Samples of the last hour, the first one since the roll at 08:00, the newest one and the last roll.

    `settlement` is None outside the averaging of the nearest expiry.
    """

    minutes: tuple[BookSample, ...]
    since_roll: BookSample | None
    newest: BookSample | None
    roll: Roll | None
    settlement: Settlement | None = None

    @classmethod
    def empty(cls) -> BookChanges:
        return cls((), None, None, None)

    def push(self, sample: BookSample) -> BookChanges:
        """The state after this tick. A clock that was set back begins anew."""
        if self.newest is not None and sample.ts_ns < self.newest.ts_ns:
            return BookChanges.empty().push(sample)
        is_new_minute = not self.minutes or sample.ts_ns - self.minutes[-1].ts_ns >= MINUTE
        minutes = (*self.minutes, sample)[-SAMPLES:] if is_new_minute else self.minutes
        since_roll = self.since_roll
        if since_roll is None or since_roll.ts_ns < last_roll_ns(sample.ts_ns):
            # of a session that began after the roll nothing is known about the time before
            is_continued = self.newest is not None and self.newest.ts_ns < last_roll_ns(sample.ts_ns)
            since_roll = sample if is_continued or sample.ts_ns == last_roll_ns(sample.ts_ns) else None
        return BookChanges(minutes, since_roll, sample, self._next_roll(sample), self._settlement(sample))

    def _settlement(self, sample: BookSample) -> Settlement | None:
        """The settlement of the expiry that was nearest before, with the share of its hedge that was fixed since."""
        before = self.newest
        if before is None or not before.expiries.size:
            return None
        expiry = int(before.expiries[0])
        open_then, open_now = (min(max(expiry - ts, 0) / AVERAGING, 1.0) for ts in (before.ts_ns, sample.ts_ns))
        if open_now == 1.0 or open_then == 0.0:
            return self.settlement if open_now == 0.0 else None
        state = self.settlement
        if state is None or state.expiry_ns != expiry:
            state = Settlement(expiry, float(before.ngi_by_expiry[0]), float(before.unwind[0]), 0.0)
        return replace(state, lifted=state.lifted + float(before.unwind[0]) * (1.0 - open_now / open_then))

    def _next_roll(self, sample: BookSample) -> Roll | None:
        if self.newest is None:
            return self.roll
        before = self.newest
        if np.array_equal(before.expiries, sample.expiries):
            return self.roll
        expired = ~np.isin(before.expiries, sample.expiries) & (before.expiries <= sample.ts_ns + MINUTE)
        new = tuple(sample.expiries[~np.isin(sample.expiries, before.expiries)].tolist())
        if expired.any():
            gamma, unwind, lifted = before.ngi_by_expiry.copy(), before.unwind.copy(), before.unwind.copy()
            if (settlement := self.settlement) is not None:  # of the nearest expiry
                gamma[0], unwind[0], lifted[0] = settlement.gamma, settlement.unwind, settlement.lifted + lifted[0]
            return Roll(
                ts_ns=sample.ts_ns,
                expired=tuple(before.expiries[expired].tolist()),
                listed=new,
                gamma_gone=float(gamma[expired].sum()),
                unwind=float(unwind[expired].sum()),
                hedge_lifted=float(lifted[expired].sum()),
                open_interest=float(before.open_interest[expired].sum()),
            )
        if new and self.roll is not None and sample.ts_ns - self.roll.ts_ns < HOUR:
            return replace(self.roll, listed=(*self.roll.listed, *new))
        return self.roll

    def sample_before(self, ts_ns: int) -> BookSample | None:
        """The newest sample at or before `ts_ns`; None where it is too old, after a start or a gap."""
        older = [sample for sample in self.minutes if sample.ts_ns <= ts_ns]
        return older[-1] if older and ts_ns - older[-1].ts_ns <= MAX_LAG * 10**9 else None

    def references(self, ts_ns: int) -> tuple[BookSample | None, ...]:
        """The samples that the changes are counted from: one for each of LOOKBACKS, then the one since the roll."""
        return (*(self.sample_before(ts_ns - lookback) for lookback in LOOKBACKS), self.since_roll)


def last_roll_ns(ts_ns: int) -> int:
    """The last 08:00 UTC at or before `ts_ns`, when Deribit's options expire.

    >>> last_roll_ns(1_767_340_799_999_999_999) == 1_767_340_800_000_000_000 - DAY
    True
    """
    return (ts_ns - ROLL_TIME) // DAY * DAY + ROLL_TIME


def changes_since(reference: BookSample | None, current: BookSample) -> tuple[F64, F64]:
    """Change of net gamma by strike and by expiry; NaN where the reference has no such strike or expiry.

    Units: USD per +1 %. Shapes: (strikes,), (expiries,) of `current`. Domain: all NaN without a reference.
    """
    if reference is None:
        return np.full(current.strikes.size, np.nan), np.full(current.expiries.size, np.nan)
    strikes = _matched(reference.strikes, reference.ngi_by_strike, current.strikes)
    expiries = _matched(reference.expiries, reference.ngi_by_expiry, current.expiries)
    return current.ngi_by_strike - strikes, current.ngi_by_expiry - expiries


def _matched(keys: F64 | I64, values: F64, query: F64 | I64) -> F64:
    """The value of each query key, NaN where it is not among `keys`, which ascend."""
    if not keys.size:
        return np.full(query.size, np.nan)
    at = np.minimum(np.searchsorted(keys, query), keys.size - 1)
    return np.where(keys[at] == query, values[at], np.nan)
