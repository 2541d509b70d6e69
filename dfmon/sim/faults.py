"""Faults of the simulated exchange: switches, counters, and one-shots that apply once.

One object is shared by the server and its venues. A test sets fields from the exchange's own loop; a parent process
writes one JSON object of fields per line to the child's stdin; `SimConfig.faults` is how the exchange starts. One-shots
are applied at the next tick and cleared.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dfmon.sim.deribit.archive_faults import ArchiveFault

# the fields below that are one-shots
_ONE_SHOT_FAULTS: Final = ("roll", "pull_quotes", "cascade", "shutdown", "reset_sequences", "list_strike")


class CloseConnection(msgspec.Struct, frozen=True):
    """A close of every connection; code 1006 drops them without a closing handshake."""

    code: int
    reason: str = ""


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """With the defaults nothing is wrong.

    Switches. `frozen`: market time stands still, while books repeat their state. `mute`: channels whose names begin
    so send nothing while heartbeats go on. `refuse`: channels that acknowledgements leave out. `maintenance`: the venue
    announces it, refuses requests, and drops every connection when it ends. `skew_s`: the exchange's clock minus ours.
    `rest_status`, `rest_retry_s`, `rest_delay_s`: the status of every REST response, its Retry-After, and its latency.
    `never_archive`: delivered series never become archivized. `archive`: the fault of pages of the trade archive, see
    `archive_faults`.

    Counters. `lose_prints`: that many option prints are missing from the channels (REST has them). `lose_books`: for
    that many ticks of 100 ms the changes of every book are lost.

    One-shots. `roll`: deliver the nearest series now and list the next. `pull_quotes`: two bids of five are gone for
    minutes. `cascade`: half a minute of forced orders in the direction of this sign. `shutdown`: each venue's notice
    that it will close connections (Binance serverShutdown, OKX 64008). `reset_sequences`: OKX books count from a lower
    number. `list_strike`: one new strike of the nearest monthly. `close`: end every connection.
    """

    frozen: bool = False
    mute: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    maintenance: bool = False
    skew_s: float = 0.0
    rest_status: int = 0
    rest_retry_s: float = 1.0
    rest_delay_s: float = 0.0
    never_archive: bool = False
    archive: ArchiveFault = ""
    lose_prints: int = 0
    lose_books: int = 0
    roll: bool = False
    pull_quotes: bool = False
    cascade: int = 0
    shutdown: bool = False
    reset_sequences: bool = False
    list_strike: bool = False
    close: CloseConnection | None = None

    def is_muted(self, channel: str) -> bool:
        """True for a muted channel."""
        return bool(self.mute) and channel.startswith(self.mute)

    def is_refused(self, channel: str) -> bool:
        """True for a channel that the venue pretends not to know."""
        return bool(self.refuse) and channel.startswith(self.refuse)

    def pop_one_shots(self) -> Faults:
        """Returns the one-shots that are set, and clears them."""
        one_shots = Faults(close=self.close, **{name: getattr(self, name) for name in _ONE_SHOT_FAULTS})
        for name in _ONE_SHOT_FAULTS:
            setattr(self, name, type(getattr(self, name))())
        self.close = None
        return one_shots

    def apply_json(self, line: bytes) -> None:
        """Sets the fields of one JSON object. Raises ValueError or msgspec.DecodeError for anything else."""
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        parsed = msgspec.json.decode(line, type=Faults)
        for name in fields:
            setattr(self, name, getattr(parsed, name))
