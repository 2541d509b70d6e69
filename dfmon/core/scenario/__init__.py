"""The state of the market: moves, liquidity, HPP, the six buckets, alerts."""
