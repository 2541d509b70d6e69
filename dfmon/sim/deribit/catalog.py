"""The listing of Deribit: currencies, instruments, indices, expirations, volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from dfmon.sim.deribit import records
from dfmon.sim.deribit.params import Params, RpcError, invalid_params, string_param
from dfmon.sim.deribit.records import Record
from dfmon.sim.market.currency_market import CurrencyMarket
from dfmon.sim.market.linear_market import LinearMarket
from dfmon.sim.market.listing import settlement_currency
from dfmon.sim.market.simulated_market import SimulatedMarket

SETTLEMENT_CURRENCIES: Final = ("BTC", "ETH", "USDC", "USDT", "EURR", "any")
_COINS: Final = {  # name in full, decimals, confirmations
    "BTC": ("Bitcoin", 8, 1), "ETH": ("Ethereum", 6, 1), "SOL": ("Solana", 9, 1), "XRP": ("XRP", 6, 1),
    "USDC": ("USD Coin", 6, 1),
}  # fmt: skip


class Catalog:
    """The listing of a market, and its instruments by name."""

    def __init__(self, market: SimulatedMarket) -> None:
        self._market = market
        self.handlers: dict[str, Callable[[Params], object]] = {
            "public/get_currencies": self._currencies,
            "public/get_instruments": self._instruments,
            "public/get_instrument": self._instrument,
            "public/get_contract_size": lambda params: {"contract_size": self._instrument(params)["contract_size"]},
            "public/get_expirations": self._expirations,
            "public/get_combo_ids": self._combo_ids,
            "public/get_index": self._legacy_index,
            "public/get_index_price": self._index_price,
            "public/get_index_price_names": lambda _: self._index_names(),
            "public/get_supported_index_names": lambda _: self._index_names(),
            "public/get_trade_volumes": lambda _: self._trade_volumes(),
            "public/get_announcements": lambda _: [],
        }

    # -- instruments by name --------------------------------------------------------------------------------------

    def option(self, name: str) -> tuple[CurrencyMarket, int] | None:
        """The board row of a listed option."""
        currency = self._market.currencies.get(name.partition("-")[0])
        row = currency.board.rows.get(name) if currency else None
        return None if currency is None or row is None else (currency, row)

    def future(self, name: str) -> tuple[CurrencyMarket, LinearMarket] | None:
        """The perpetual or dated future called `name`."""
        code, _, label = name.partition("-")
        currency = self._market.currencies.get(code)
        if currency is None:
            return None
        market = currency.perpetual if label == "PERPETUAL" else currency.futures.get(label)
        return None if market is None else (currency, market)

    def ticker(self, name: str) -> Record | None:
        """The full ticker of any listed instrument."""
        if option := self.option(name):
            return records.option_ticker(*option)
        future = self.future(name)
        return records.future_ticker(*future) if future else None

    # -- selections -----------------------------------------------------------------------------------------------

    def selected_markets(self, params: Params) -> list[CurrencyMarket]:
        """The markets settled in `currency`; USDT and coins without a settlement of their own list nothing here."""
        code = string_param(params, "currency")
        if code not in SETTLEMENT_CURRENCIES and code not in _COINS:
            raise invalid_params("invalid currency", "currency")
        return [m for name, m in self._market.currencies.items() if code in {"any", settlement_currency(name)}]

    def currency_by_index(self, params: Params) -> CurrencyMarket:
        """The board of `index_name`."""
        name = string_param(params, "index_name")
        currency = self._market.currency_by_index(name)
        if currency is None or not name.endswith(("_usd", "_usdc")):
            raise invalid_params("invalid index", "index_name")
        return currency

    # -- methods --------------------------------------------------------------------------------------------------

    def _currencies(self, params: Params) -> list[Record]:
        coins = dict.fromkeys(
            name for m in self._market.currencies.values() for name in (m.base, settlement_currency(m.name))
        )
        return [currency_record(coin) for coin in coins]

    def _instruments(self, params: Params) -> list[Record]:
        kind = params.get("kind")
        expired = str(params.get("expired", False)).lower() == "true"
        rows: list[Record] = []
        for currency in self.selected_markets({"currency": "any", **params}):
            if kind in {None, "any", "option"}:
                selected_contracts = currency.delivered if expired else currency.board.contracts
                rows += [records.option_instrument(c, "archivized" if expired else "open") for c in selected_contracts]
            if kind in {None, "any", "future"} and not expired:
                rows.append(records.future_instrument(currency.perpetual, ""))
                periods = {s.expiry.label: s.expiry.period for s in currency.board.slices}
                rows += [records.future_instrument(m, periods[label]) for label, m in currency.futures.items()]
        return rows

    def _instrument(self, params: Params) -> Record:
        name = string_param(params, "instrument_name")
        if option := self.option(name):
            currency, row = option
            return records.option_instrument(currency.board.contracts[row])
        if future := self.future(name):
            currency, market = future
            periods = {s.expiry.label: s.expiry.period for s in currency.board.slices}
            return records.future_instrument(market, periods.get(name.partition("-")[2], ""))
        raise RpcError(13020, "not_found")

    def _expirations(self, params: Params) -> Record:
        """Labels by currency and kind."""
        expirations: Record = {}
        for market in self.selected_markets(params):
            options = [s.expiry.label for s in market.board.slices]
            expirations[market.name.lower()] = {"option": options, "future": [*market.futures, "PERPETUAL"]}
        return expirations

    def _combo_ids(self, params: Params) -> list[str]:
        return [name for market in self.selected_markets(params) for name in market.combo_trade_counts]

    def _legacy_index(self, params: Params) -> Record:
        """`get_index`, which the venue removed in November 2025 and clients still call."""
        code = string_param(params, "currency")
        currency = self._market.currencies.get(code)
        if currency is None:
            raise invalid_params("invalid currency", "currency")
        return {code: currency.index, "edp": currency.estimated_delivery}

    def _index_price(self, params: Params) -> Record:
        currency = self.currency_by_index(params)
        return {"index_price": currency.index, "estimated_delivery_price": currency.estimated_delivery}

    def _index_names(self) -> list[str]:
        boards = self._market.currencies.values()
        names = {board.price_index for board in boards}
        return sorted(names | {f"{board.base.lower()}_usdc" for board in boards})  # pegged to the USD index

    def _trade_volumes(self) -> list[Record]:
        """Of a day, in coins."""
        return [
            {
                "currency": board.base,
                "currency_pair": board.price_index,
                "calls_volume": round(float(board.ledger.volume[board.board.sign > 0].sum()), 4),
                "puts_volume": round(float(board.ledger.volume[board.board.sign < 0].sum()), 4),
                "futures_volume": round(sum(m.volume for m in (board.perpetual, *board.futures.values())), 4),
                "spot_volume": 0.0,
            }
            for board in self._market.currencies.values()
        ]


def currency_record(coin: str) -> Record:
    """A row of `get_currencies`; fees are those of a small withdrawal."""
    name, decimals, confirmations = _COINS[coin]
    fee = 10.0 ** -min(decimals - 2, 4)
    return {
        "coin_type": "BITCOIN" if coin == "BTC" else "ETHER" if coin == "ETH" else coin,
        "currency": coin,
        "currency_long": name,
        "decimals": decimals,
        "min_confirmations": confirmations,
        "min_withdrawal_fee": fee,
        "withdrawal_fee": fee,
        "withdrawal_priorities": [],
        "network_currency": "ETH" if coin == "USDC" else coin,
        "network_fee": fee,
        "apr": 0.0,
        "in_cross_collateral_pool": coin in {"BTC", "ETH", "USDC"},
    }
