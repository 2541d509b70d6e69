"""Deterministic, synchronous state: records in, frames and snapshots out. No clock, no thread, no I/O."""
