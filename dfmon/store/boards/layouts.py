"""The layouts of option boards that are read: one row each. Adding one is adding a row.

A layout is recognised by columns that it alone has, in any spelling and order, and says where each field comes from
and in which unit it is published. Units are checked against the board before they are believed (`units`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from dfmon.store.boards.table import ColumnNames

Aliases = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """One shape of a board.

    `identified_by` are fields that must have a column for a file to be of this layout, of those in `columns`.
    `rows_are` says how rows become boards: "runs" share the time of their board, "polls" have times of their own
    within one, "updates" are a stream of which the last row of each option counts.
    `refusal` is the sentence for a layout that is recognised and cannot be priced.
    """

    title: str
    identified_by: tuple[str, ...]
    columns: Mapping[str, Aliases]
    iv: Literal["per cent", "fraction", ""] = ""
    prices: Literal["venue", "USD"] = "venue"
    rows_are: Literal["runs", "polls", "updates"] = "polls"
    linear: bool = False
    refusal: str = ""
    source: str = ""

    @property
    def phrase(self) -> str:
        """The title with its article, where it is no name."""
        if self.title[0].isupper() or self.title.endswith("s"):
            return self.title
        return f"{'an' if self.title.startswith('hour') else 'a'} {self.title}"

    def match(self, names: ColumnNames) -> dict[str, str] | None:
        """The column of each field, None if the file is of another layout."""
        found = {name: column for name, aliases in self.columns.items() if (column := names.find(aliases))}
        return found if all(name in found for name in self.identified_by) else None


_TICKER: Final[dict[str, Aliases]] = {
    "name": ("instrument_name",),
    "time": ("timestamp",),
    "iv": ("mark_iv",),
    "forward": ("underlying_price",),
    "spot": ("index_price", "estimated_delivery_price"),
    "open_interest": ("open_interest",),
    "volume": ("stats_volume", "volume"),
    "mark": ("mark_price",),
    "bid": ("best_bid_price", "bid_price"),
    "ask": ("best_ask_price", "ask_price"),
    "bid_iv": ("bid_iv",),
    "ask_iv": ("ask_iv",),
    "base": ("base_currency",),
    "type": ("option_type",),
    "strike": ("strike",),
    "expiry": ("expiration_timestamp",),
    "settlement": ("instrument_type",),
    "kind": ("kind",),
    "contract_size": ("contract_size",),
    "price_index": ("price_index",),
    "listed": ("creation_timestamp",),
    "delta": ("greeks_delta", "delta"),
}


def _ticker(**changes: Aliases) -> dict[str, Aliases]:
    """The columns of a ticker, with `changes`; an empty change takes a field out."""
    return {name: aliases for name, aliases in {**_TICKER, **changes}.items() if aliases}


LAYOUTS: Final = (
    Layout(
        "Tardis options_chain",
        ("name", "received", "type", "strike", "expiry", "iv"),
        {
            "name": ("symbol",), "time": ("timestamp",), "received": ("local_timestamp",), "type": ("type",),
            "strike": ("strike_price",), "expiry": ("expiration",), "open_interest": ("open_interest",),
            "bid": ("bid_price",), "ask": ("ask_price",), "bid_iv": ("bid_iv",), "ask_iv": ("ask_iv",),
            "mark": ("mark_price",), "iv": ("mark_iv",), "forward": ("underlying_price",), "delta": ("delta",),
        },
        iv="per cent",
        rows_are="updates",
        source="https://docs.tardis.dev/downloadable-csv-files#options_chain",
    ),
    Layout(
        "snapshot board",
        ("name", "time", "iv", "forward", "expiry"),
        {
            "name": ("instrument_name",), "time": ("timestamp",), "base": ("currency",), "type": ("option_type",),
            "strike": ("strike",), "expiry": ("expiry_datetime",), "iv": ("implied_volatility",),
            "forward": ("underlying",), "spot": ("index_price",), "open_interest": ("open_interest",),
            "volume": ("volume",), "mark": ("mark_price",), "bid": ("bid_price",), "ask": ("ask_price",),
            "settlement": ("instrument_type",), "kind": ("kind",), "delta": ("delta",),
        },
        iv="fraction",
        rows_are="runs",
        source="one or many runs over get_book_summary_by_currency",
    ),
    Layout(
        "ticker board",
        ("name", "time", "iv", "forward"),
        _ticker(),
        iv="per cent",
        source="get_instruments joined with ticker; rows of ticker or get_order_book",
    ),
    Layout(
        "book summary",
        ("name", "time", "iv", "forward"),
        _ticker(time=("creation_timestamp",), listed=(), spot=("estimated_delivery_price", "index_price")),
        iv="per cent",
        source="get_book_summary_by_currency",
    ),
    Layout(
        "daily chain",
        ("name", "time", "expiry", "iv"),
        {
            "name": ("instrument",), "time": ("snapshot_utc",), "base": ("underlying",), "expiry": ("expiry",),
            "strike": ("strike",), "type": ("type",), "mark": ("mark_price",), "bid": ("bid",), "ask": ("ask",),
            "iv": ("mark_iv",), "open_interest": ("open_interest",), "volume": ("volume_24h",),
            "forward": ("underlying_price",),
        },
        rows_are="runs",
        source="one board a day, of Deribit or OKX",
    ),
    Layout(
        "hourly chain",
        ("name", "time", "expiry", "iv", "open_interest"),
        {
            "name": ("instrument_name",), "time": ("date",), "expiry": ("expiry_date",), "strike": ("strike",),
            "type": ("type",), "volume": ("volume",), "open_interest": ("open_interest",), "delta": ("delta",),
            "bid_iv": ("bid_iv",), "ask_iv": ("ask_iv",), "iv": ("mark_iv",), "mark": ("mark_price",),
            "forward": ("underlying_price",), "spot": ("index_price",),
        },
        iv="per cent",
        rows_are="runs",
        source="greeks without prices, expiry_date as a day",
    ),
    Layout(
        "OpenBB options chain",
        ("name", "expiry", "iv", "strike"),
        {
            "name": ("contract_symbol",), "time": ("timestamp", "eod_date"), "expiry": ("expiration",),
            "strike": ("strike",), "type": ("option_type",), "open_interest": ("open_interest",),
            "volume": ("volume",), "bid": ("bid",), "ask": ("ask",), "mark": ("mark",),
            "iv": ("implied_volatility",), "bid_iv": ("bid_iv",), "ask_iv": ("ask_iv",),
            "forward": ("underlying_price",), "spot": ("underlying_spot_price",), "delta": ("delta",),
        },
        iv="fraction",
        prices="USD",
        source="obb.derivatives.options.chains(provider=\"deribit\")",
    ),
    Layout(
        "ccxt option chain",
        ("name", "iv", "forward", "open_interest"),
        {
            "name": ("symbol",), "time": ("timestamp", "datetime"),
            "iv": ("impliedVolatility", "info.mark_iv", "info.markVol", "info.markIv"),
            "open_interest": ("openInterest",), "bid": ("bidPrice",), "ask": ("askPrice",), "mark": ("markPrice",),
            "forward": ("underlyingPrice",), "volume": ("baseVolume",),
            "spot": ("info.estimated_delivery_price", "info.indexPrice", "info.index_price"),
        },
        rows_are="polls",
        source="fetch_option_chain",
    ),
    Layout(
        "Bybit tickers",
        ("name", "iv", "forward", "open_interest"),
        {
            "name": ("symbol",), "time": ("time", "timestamp", "ts"), "iv": ("markIv",), "bid_iv": ("bid1Iv",),
            "ask_iv": ("ask1Iv",), "forward": ("underlyingPrice",), "spot": ("indexPrice",),
            "open_interest": ("openInterest",), "mark": ("markPrice",), "bid": ("bid1Price",), "ask": ("ask1Price",),
            "volume": ("volume24h",), "expiry": ("deliveryTime",), "base": ("baseCoin",), "delta": ("delta",),
        },
        iv="fraction",
        linear=True,
        source="/v5/market/tickers?category=option, alone or beside instruments-info",
    ),
    Layout(
        "OKX tickers",
        ("name", "iv", "forward", "open_interest"),
        {
            "name": ("instId",), "time": ("ts",), "iv": ("markVol",), "bid_iv": ("bidVol",), "ask_iv": ("askVol",),
            "forward": ("fwdPx",), "spot": ("idxPx",), "open_interest": ("oiCcy", "oi"), "mark": ("markPx",),
            "bid": ("bidPx",), "ask": ("askPx",), "volume": ("volCcy24h",), "strike": ("stk",), "expiry": ("expTime",),
            "type": ("optType",), "listed": ("listTime",),
        },
        iv="fraction",
        source="opt-summary with open-interest, tickers, mark-price and instruments in one file",
    ),
    Layout(
        "OKX tickers",
        ("name",),
        {"name": ("instId",)},
        refusal="open interest and volatility are expected as well: put opt-summary and open-interest in one file",
    ),
    Layout(
        "option rows",
        ("iv", "open_interest", "strike", "type"),
        {
            "name": ("instrument_name", "symbol", "instrument", "contract_symbol", "name", "ticker"),
            "time": ("timestamp", "time", "ts", "datetime", "as_of", "snapshot_utc", "updated", "date"),
            "base": ("base_currency", "currency", "base", "coin", "asset", "underlying_symbol", "underlying"),
            "expiry": ("expiration_timestamp", "expiry", "expiration", "expiry_date", "expiration_date", "maturity"),
            "strike": ("strike", "strike_price", "k"), "type": ("option_type", "type", "side", "right", "cp"),
            "iv": ("mark_iv", "implied_volatility", "iv", "mark_vol", "sigma", "volatility"),
            "forward": ("forward", "forward_price", "underlying_price", "future_price", "fwd"),
            "spot": ("index_price", "spot", "spot_price", "index", "underlying_spot_price", "estimated_delivery_price"),
            "open_interest": ("open_interest", "oi", "openInterest"), "volume": ("volume", "volume_24h"),
            "mark": ("mark_price", "mark"), "bid": ("bid_price", "bid"), "ask": ("ask_price", "ask"),
            "bid_iv": ("bid_iv",), "ask_iv": ("ask_iv",), "delta": ("delta", "greeks_delta"),
            "settlement": ("instrument_type",),
        },
        source="named rows of any other origin, also nested by expiry with forwards",
    ),
    Layout(
        "named options",
        ("name", "iv", "open_interest"),
        {
            "name": ("instrument_name", "symbol", "instrument", "contract_symbol", "name", "ticker"),
            "time": ("timestamp", "time", "ts", "datetime", "as_of", "snapshot_utc", "updated", "date",
                     "creation_timestamp"),
            "iv": ("mark_iv", "implied_volatility", "iv", "mark_vol", "sigma", "volatility"),
            "forward": ("forward", "forward_price", "underlying_price", "future_price", "fwd"),
            "spot": ("index_price", "spot", "spot_price", "index", "underlying_spot_price",
                     "estimated_delivery_price"),
            "open_interest": ("open_interest", "oi"), "mark": ("mark_price", "mark"), "delta": ("delta",),
        },
        source="names that spell out the terms, of any other origin",
    ),
    Layout(
        "Deribit's web-page export",
        ("name", "iv bid", "iv ask", "ext"),
        {"name": ("Instrument",), "iv bid": ("IV Bid",), "iv ask": ("IV Ask",), "ext": ("ExtValue",)},
        refusal="it has no time and no forward: save get_book_summary_by_currency instead",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matched:
    """A layout, the column of each of its fields in a file, and other columns of the file that have the field too."""

    layout: Layout
    columns: dict[str, str] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def used(self) -> tuple[str, ...]:
        """All these columns, each once."""
        return tuple(
            dict.fromkeys([*self.columns.values(), *(other for names in self.others.values() for other in names)])
        )


def detect(names: ColumnNames) -> Matched | None:
    """The first layout of the table that the columns are of."""
    matches = ((layout, layout.match(names)) for layout in LAYOUTS)
    return next(
        (with_columns(layout, columns, names) for layout, columns in matches if columns is not None),
        None,
    )


def with_columns(layout: Layout, columns: dict[str, str], names: ColumnNames) -> Matched:
    """The layout with these columns, and the others of their fields."""
    others: dict[str, tuple[str, ...]] = {}
    for name in columns:
        found = dict.fromkeys(names.find((alias,)) for alias in layout.columns[name])
        if rest := tuple(other for other in found if other and other not in columns.values()):
            others[name] = rest
    return Matched(layout, columns, others)


def closest(names: ColumnNames) -> tuple[Layout, tuple[str, ...]]:
    """The layout that the columns come nearest to, and the columns that it needs as well."""

    def lacking(layout: Layout) -> tuple[str, ...]:
        return tuple(
            layout.columns[name][0] for name in layout.identified_by if names.find(layout.columns[name]) is None
        )

    priced = [layout for layout in LAYOUTS if not layout.refusal]
    best = min(priced, key=lambda layout: (len(lacking(layout)) / len(layout.identified_by), len(lacking(layout))))
    return best, lacking(best)
