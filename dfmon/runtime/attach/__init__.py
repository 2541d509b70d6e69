"""Snapshots of other dfmons as a session: `sources` receive them, `arrivals` chooses, `session` fills the hub."""
