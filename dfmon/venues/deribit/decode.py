"""Deribit's structs to events: the one place where its units become ours.

Percent becomes decimal here (the mark-price channel is already a fraction), milliseconds become nanoseconds, and 0.0 or
null in place of a quote becomes NaN. Amounts of options are coins already. `wire` comes before, the engine after.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from dfmon.model.events import (
    FutureTicker,
    IndexPrice,
    OptionGreeks,
    OptionTicker,
    OptionTrade,
    SettlementPrice,
    VolIndex,
)
from dfmon.model.instrument import Instrument, Kind, OptionType, Settlement
from dfmon.model.units import MILLISECOND, NAN, sanitize
from dfmon.venues.decoding import ms_to_ns, or_nan, positive_or_nan
from dfmon.venues.deribit import wire

_MAX_EXPIRY_MS: Final = 9_000_000_000_000


def percent(value: float | None) -> float:
    """An IV in percent as a decimal; 0.0 means that there is no solution, not a volatility of zero."""
    return positive_or_nan(value) / 100.0


class Ticker(wire.Ticker, frozen=True, gc=False, kw_only=True):
    """The busiest conversion: written out and by position, since calls and keywords cost as much as the decoding."""

    def to_option_ticker(self) -> OptionTicker:
        """In our units: percent becomes decimal; `x or NAN` reads null and 0.0 alike as none."""
        bid, ask = self.best_bid_price or NAN, self.best_ask_price or NAN
        return OptionTicker(
            wire.SOURCE,
            self.name,
            self.exch_ms * MILLISECOND,
            (self.mark_iv or NAN) / 100.0,
            (self.bid_iv or NAN) / 100.0 if bid == bid else NAN,
            (self.ask_iv or NAN) / 100.0 if ask == ask else NAN,  # without an ask the venue prints its cap, 500
            NAN if self.mark_price is None else self.mark_price,
            bid,
            ask,
            NAN if self.open_interest is None else self.open_interest,
            self.underlying_price or NAN,
            self.index_price or NAN,
            NAN if self.stats is None or self.stats.volume is None else self.stats.volume,
            self.greeks,
        )


ticker: Final = msgspec.json.Decoder(wire.Notification[Ticker])
ticker_response: Final = msgspec.json.Decoder(Ticker)


def greeks(ticker: OptionTicker) -> OptionGreeks:
    """The greeks of a requested ticker; its other state is older than the channels'."""
    return OptionGreeks(ticker.venue, ticker.name, ticker.exch_ns, ticker.mark_iv, ticker.forward, ticker.greeks)


class OptionTickerStates:
    """States of `incremental_ticker` of options: a snapshot, then changes of some fields."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, Any]] = {}

    def apply(self, name: str, frame: bytes) -> Ticker:
        """The full state after a frame. Raises if a change has no snapshot before it, or the frame is damaged."""
        update = wire.fields.decode(frame).params.data
        if update.get("type") == "change":
            if name not in self._states:
                raise ValueError(f"{name}: a change before any snapshot")
            before = self._states[name]
            update = {**before, **{key: _merged(before.get(key), value) for key, value in update.items()}}
        ticker = msgspec.convert(update, Ticker)
        if "type" in update:  # a plain ticker is a full state each time
            self._states[name] = update
        return ticker


def _merged(before: Any, update: Any) -> Any:
    return {**before, **update} if isinstance(before, dict) and isinstance(update, dict) else update


def summary(row: wire.Summary) -> OptionTicker:
    """A book-summary row; its `estimated_delivery_price` is the index while the series lives."""
    delivery = row.estimated_delivery_price
    return OptionTicker(
        venue=wire.SOURCE,
        name=row.instrument_name,
        exch_ns=ms_to_ns(row.creation_timestamp),
        mark_iv=percent(row.mark_iv),
        mark=or_nan(row.mark_price),
        bid=positive_or_nan(row.bid_price),
        ask=positive_or_nan(row.ask_price),
        open_interest=or_nan(row.open_interest),
        forward=positive_or_nan(row.underlying_price),
        index=NAN if isinstance(delivery, str) else positive_or_nan(delivery),
        volume=or_nan(row.volume),
    )


def option_trade(row: wire.Trade) -> OptionTrade:
    event = row.combo_trade_id if row.combo_trade_id is not None else row.block_trade_id
    return OptionTrade(
        venue=wire.SOURCE,
        name=row.instrument_name,
        trade_id=sanitize(str(row.trade_id)),
        seq=row.trade_seq,
        exch_ns=ms_to_ns(row.timestamp),
        side=1 if row.direction == "buy" else -1,
        price=row.price,
        size=row.amount,
        iv=percent(row.iv),
        index=positive_or_nan(row.index_price),
        block=row.block_trade_id is not None,
        rfq=row.block_rfq_id is not None,
        combo=row.combo_id is not None or row.combo_trade_id is not None,
        liquidation=sanitize(row.liquidation or ""),
        event_id="" if event is None else sanitize(str(event)),
    )


def index_price(underlying: str, row: wire.Index) -> IndexPrice:
    return IndexPrice(wire.SOURCE, underlying, row.price, ms_to_ns(row.timestamp))


def vol_index(underlying: str, row: wire.Volatility) -> VolIndex:
    return VolIndex(wire.SOURCE, underlying, row.volatility / 100.0, ms_to_ns(row.timestamp))


def settlement_price(underlying: str, row: wire.Expiration) -> SettlementPrice:
    return SettlementPrice(wire.SOURCE, underlying, row.price, row.seconds)


def instrument(record: wire.Record, currency: str) -> Instrument:
    """A listing record. Raises ValueError if a field that its kind needs is missing."""
    # Records before 2022 have no type; an inverse contract is listed under its own coin.
    inverse = record.instrument_type == "reversed" if record.instrument_type else currency == record.base_currency
    perpetual = record.settlement_period == "perpetual"
    strike, option_type = 0.0, None
    if record.kind == "option":
        if record.option_type not in ("call", "put") or not record.strike or record.strike <= 0:
            raise ValueError(f"option without strike or type: {record.instrument_name}")
        strike = record.strike
        option_type = OptionType.CALL if record.option_type == "call" else OptionType.PUT
    if not perpetual and not 0 < record.expiration_timestamp < _MAX_EXPIRY_MS:
        raise ValueError(f"no expiry in {record.instrument_name}")
    return Instrument(
        venue=wire.SOURCE,
        name=record.instrument_name,
        kind=Kind.OPTION if record.kind == "option" else Kind.PERPETUAL if perpetual else Kind.FUTURE,
        underlying=record.base_currency,
        settlement=Settlement.INVERSE if inverse else Settlement.LINEAR,
        expiry_ns=0 if perpetual else ms_to_ns(record.expiration_timestamp),
        strike=strike,
        option_type=option_type,
        contract_size=record.contract_size,
        price_index=record.price_index,
        listed_ns=ms_to_ns(record.creation_timestamp),
    )


class FutureTickerState:
    """State of the incremental ticker of one future; a change has some of the fields."""

    def __init__(self, future: Instrument) -> None:
        self._future = future
        self._mark = self._bid = self._ask = self._index = NAN
        self._interest = self._volume = self._funding = NAN

    def apply(self, row: wire.FutureRow) -> FutureTicker:
        if row.mark_price is not UNSET:
            self._mark = positive_or_nan(row.mark_price)
        if row.best_bid_price is not UNSET:
            self._bid = positive_or_nan(row.best_bid_price)
        if row.best_ask_price is not UNSET:
            self._ask = positive_or_nan(row.best_ask_price)
        if row.index_price is not UNSET:
            self._index = positive_or_nan(row.index_price)
        if row.open_interest is not UNSET:
            self._interest = or_nan(row.open_interest)
        if row.funding_8h is not UNSET:
            self._funding = or_nan(row.funding_8h)
        if row.stats is not None and row.stats.volume_usd is not UNSET:
            self._volume = or_nan(row.stats.volume_usd)
        return self._ticker(ms_to_ns(row.timestamp))

    def _ticker(self, exch_ns: int) -> FutureTicker:
        # An inverse contract counts its open interest in USD, a linear one in coins.
        linear = self._future.settlement is Settlement.LINEAR
        return FutureTicker(
            venue=wire.SOURCE,
            name=self._future.name,
            underlying=self._future.underlying,
            expiry_ns=self._future.expiry_ns,
            exch_ns=exch_ns,
            mark=self._mark,
            bid=self._bid,
            ask=self._ask,
            index=self._index,
            open_interest_usd=self._interest * self._mark if linear else self._interest,
            volume_usd=self._volume,
            funding_8h=self._funding,
        )


def future_summary(future: Instrument, row: wire.FutureSummary) -> FutureTicker:
    """A book-summary row of a future, which is a full state."""
    return FutureTickerState(future).apply(
        wire.FutureRow(
            row.instrument_name,
            row.creation_timestamp,
            mark_price=row.mark_price,
            best_bid_price=row.bid_price,
            best_ask_price=row.ask_price,
            open_interest=row.open_interest,
            funding_8h=row.funding_8h,
            stats=wire.FutureStats(row.volume_usd),
        )
    )
