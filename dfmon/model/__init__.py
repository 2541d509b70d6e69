"""The nouns of dfmon: instruments, events, frames, snapshots. Imports nothing else of dfmon."""
