"""The consumers of snapshots: JSON lines, Redis, REST and plain text."""
