"""The files on disk: recordings, history, trades, positions and boards."""
