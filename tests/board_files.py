"""Small option boards made on the spot, of both kinds that dfmon reads."""

from __future__ import annotations

from datetime import UTC, datetime

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EXPIRIES = (datetime(2026, 3, 3, 8, tzinfo=UTC), datetime(2026, 3, 27, 8, tzinfo=UTC))
SPOT = 100_000.0
HEADER = (
    "instrument_name,expiration_timestamp,creation_timestamp,strike,option_type,contract_size,instrument_type,"
    "base_currency,counter_currency,settlement_currency,timestamp,state_y,index_price,mark_price,best_bid_price,"
    "best_ask_price,mark_iv,bid_iv,ask_iv,underlying_price,open_interest,stats_volume"
)

SNAPSHOT_HEADER = (
    "timestamp,instrument_name,underlying,underlying_name,option_type,strike,expiry_datetime,time_to_maturity,"
    "bid_price,ask_price,mark_price,mid_price,futures_price,futures_instrument_name,implied_volatility,delta,vega,"
    "open_interest,volume,bid_ask_spread,currency,index_price,volume_usd"
)


def _name(expiry: datetime, strike: int, kind: str) -> str:
    return f"BTC-{expiry.day}{expiry:%b%y}".upper() + f"-{strike}-{kind[0].upper()}"


def board_text(rows: int = 20) -> str:
    """A ticker board: `rows` strikes around spot, calls and puts, on two expiries."""
    lines = [HEADER]
    ms = int(NOW.timestamp() * 1000)
    for expiry in EXPIRIES:
        for step in range(rows):
            strike = int(SPOT) + (step - rows // 2) * 1000
            if strike <= 0:
                continue
            for kind in ("call", "put"):
                interest = 50 + 7 * step % 90 + (40 if kind == "put" else 0)
                name, end = _name(expiry, strike, kind), int(expiry.timestamp() * 1000)
                lines.append(
                    f"{name},{end},{ms - 86_400_000},{strike},{kind},1,reversed,BTC,USD,BTC,{ms},open,{SPOT},"
                    f",0.009,0.011,45.0,44.0,46.0,{SPOT + 50},{interest},3.5"
                )
    return "\n".join(lines) + "\n"


def snapshot_text(null_iv: int = 0, expired: int = 0) -> str:
    """A snapshot board; the first `null_iv` rows lack their volatility, `expired` rows are of yesterday."""
    lines = [SNAPSHOT_HEADER]
    now_text = NOW.isoformat()
    past_expiry = datetime(2026, 3, 1, 8, tzinfo=UTC)
    board = [(EXPIRIES[1], int(SPOT) + step * 1000) for step in range(-5, 6)]
    board += [(past_expiry, int(SPOT) + step * 1000) for step in range(expired)]
    for index, (expiry, strike) in enumerate(board):
        iv = "" if index < null_iv else "0.45"
        lines.append(
            f"{now_text},{_name(expiry, strike, 'call')},{SPOT + 50},SYN.X,call,{strike}.0,{expiry.isoformat()},0.07,,"
            f"0.02,0.015,,{SPOT + 50},SYN.X,{iv},0.5,100.0,{10 + index},0.0,,BTC,{SPOT},0.0"
        )
    return "\n".join(lines) + "\n"
