"""The mathematics: arrays in, arrays out, joined by `step`."""
