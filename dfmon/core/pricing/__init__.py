"""Black-76 greeks, implied volatility and settlement, by numpy or compiled."""
