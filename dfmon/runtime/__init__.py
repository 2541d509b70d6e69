"""The life of a session: composition, threads, signals, stores and backfill."""
