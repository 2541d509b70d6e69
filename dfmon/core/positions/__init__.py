"""Dealer positions: an ensemble estimated from prints and open interest."""
