"""Deribit's listed instruments by settlement currency: ours, those of other underlyings, and unknown names.

`currency` in Deribit's methods means the settlement currency: the dollar-settled options of every coin are all under
USDC, so an underlying's options come in up to two responses, together with rows of other coins. Identity comes from
records; names are compared, never parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from dfmon.model.events import Delisted, Event, Listed, ListingComplete, Rejected
from dfmon.model.instrument import Instrument, Settlement
from dfmon.venues.decoding import ms_to_ns, rejected
from dfmon.venues.deribit import wire
from dfmon.venues.deribit.decode import instrument
from dfmon.venues.meta_snap import Roll, RollMap

INVERSE: Final = frozenset({"BTC", "ETH"})  # coins with coin-settled options of their own
LINEAR: Final = "USDC"
# Names of January 2026 and the names they replaced. A pause (locked, halted, settlement) is not an end.
_FINAL_STATES: Final = frozenset({"delivered", "archivized", "inactive", "closed", "deactivated", "terminated"})
_ACTIVE_STATES: Final = frozenset({"open", "created", "started", "settlement", "settled", "locked", "halted"})


def index_name(underlying: str) -> str:
    """The index of an underlying; for BTC and ETH the USDC index has been the same number since July 2025."""
    return f"{underlying.lower()}_{'usd' if underlying in INVERSE else 'usdc'}"


def listing_currency(instrument: Instrument) -> str:
    """The settlement currency under which an instrument is listed and its prints are published."""
    return instrument.underlying if instrument.settlement is Settlement.INVERSE else LINEAR


class Listings:
    """Known instruments of `underlyings`, and names that are known to be of others."""

    def __init__(self, underlyings: Sequence[str], *, linear: bool = True) -> None:
        self.underlyings = tuple(underlyings)
        self.options: dict[str, Instrument] = {}
        self.futures: dict[str, Instrument] = {}
        self.roll_map = RollMap()
        self.last_roll: Roll | None = None
        inverse = [name for name in underlyings if name in INVERSE]
        has_linear = linear or len(inverse) < len(self.underlyings)
        self.currencies = (*inverse, *([LINEAR] if has_linear else []))
        self.future_currencies = (*inverse, *([LINEAR] if len(inverse) < len(self.underlyings) else []))
        self._other_names: set[str] = set()
        self._names: dict[str, set[str]] = {}  # live options of the newest response, by currency

    def complete(self, currency: str) -> bool:
        """True once the options of this settlement currency have been read."""
        return currency in self._names

    def live_options(self, currency: str) -> list[str]:
        """Our options of the newest listing of this settlement currency, by name."""
        return sorted(self._names.get(currency, set()) & self.options.keys())

    def known(self, name: str) -> bool:
        return name in self.options or name in self._other_names or name in self.futures

    def apply_options(self, currency: str, records: Sequence[wire.Record], *, is_complete: bool) -> list[Event]:
        """A get_instruments response. With bad rows `is_complete` is false, and nothing is delisted."""
        events: list[Event] = []
        names: set[str] = set()
        pairs: list[tuple[int, str]] = []
        for record in records:
            if record.kind != "option" or (record.settlement_currency or currency) != currency:
                is_complete = False  # the venue has sent a cached response to another request
                events.append(rejected(wire.SOURCE, "row", f"{record.instrument_name} is no {currency} option"))
            elif record.is_active:
                pairs.append((record.instrument_id, record.instrument_name))
                listed_events = self._add_option(record, currency)
                events += listed_events
                if any(isinstance(event, Rejected) for event in listed_events):
                    is_complete = False
                names.add(record.instrument_name)
        before = self._names.get(currency, set())
        if before and not names:
            return [*events, rejected(wire.SOURCE, "listing", f"no {currency} option at all; the old listing stands")]
        if not is_complete:
            names |= before
        else:
            self.last_roll = self.roll_map.apply_listing(f"{currency}:option", pairs)
            self._drop(before - names)
        self._names[currency] = names
        return [*events, *self._completed_listings(currency)]

    def apply_futures(
        self, currency: str, records: Iterable[wire.Record], *, is_complete: bool
    ) -> tuple[list[str], list[str], list[Event]]:
        """A get_instruments response for futures. Returns added names, removed names, and bad rows.

        A coin with futures of its own needs none of those settled in dollars: their forwards are the same.
        """
        futures: dict[str, Instrument] = {}
        events: list[Event] = []
        for record in records:
            base = record.base_currency
            if record.kind != "future" or base not in self.underlyings or not record.is_active:
                continue
            if currency == LINEAR and base in INVERSE:
                continue
            try:
                futures[record.instrument_name] = instrument(record, currency)
            except ValueError as exc:
                events.append(rejected(wire.SOURCE, "row", exc))
                is_complete = False
        own_names = [name for name, future in self.futures.items() if listing_currency(future) == currency]
        if own_names and not futures:
            return [], [], [*events, rejected(wire.SOURCE, "listing", f"no {currency} future at all; the old stand")]
        removed = [name for name in own_names if name not in futures] if is_complete else []
        for name in removed:
            del self.futures[name]
        added = [name for name in futures if name not in self.futures]
        self.futures |= futures
        return added, removed, events

    def created(self, record: wire.Record) -> list[Event]:
        """An instrument.creation notification of an option."""
        if record.kind != "option":
            return []
        currency = record.settlement_currency or record.base_currency
        events = self._add_option(record, currency)
        if record.instrument_name in self.options and currency in self._names:
            self._names[currency].add(record.instrument_name)
        return events

    def on_state(self, row: wire.InstrumentState) -> list[Event]:
        """An instrument.state notification. Our own clock has expired the series already; this confirms."""
        if row.state in _FINAL_STATES:
            return (
                [Delisted(wire.SOURCE, row.instrument_name, ms_to_ns(row.timestamp))]
                if row.instrument_name in self.options
                else []
            )
        if row.state in _ACTIVE_STATES:
            return []
        return [rejected(wire.SOURCE, "state", row.state)]

    def _add_option(self, record: wire.Record, currency: str) -> list[Event]:
        if record.base_currency not in self.underlyings:
            self._other_names.add(record.instrument_name)
            return []
        try:
            option = instrument(record, currency)
        except ValueError as exc:
            return [rejected(wire.SOURCE, "row", exc)]
        self.options[option.name] = option
        return [Listed(option)]

    def _completed_listings(self, currency: str) -> list[Event]:
        """ListingComplete for every underlying all of whose currencies have been read."""
        completed: list[Event] = []
        for underlying in self.underlyings:
            required = [underlying] if underlying in INVERSE else []
            required += [LINEAR] if LINEAR in self.currencies else []
            if currency in required and all(code in self._names for code in required):
                live_names = (name for code in required for name in self._names[code])
                own_names = frozenset(name for name in live_names if self._belongs(name, underlying))
                completed.append(ListingComplete(wire.SOURCE, underlying, own_names))
        return completed

    def _belongs(self, name: str, underlying: str) -> bool:
        option = self.options.get(name)
        return option is not None and option.underlying == underlying

    def _drop(self, names: set[str]) -> None:
        for name in names:
            self.options.pop(name, None)
            self._other_names.discard(name)
