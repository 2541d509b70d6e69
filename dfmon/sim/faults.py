"""What can be made to go wrong with the simulated exchange: switches, and blows that strike once.

One object is shared by the server and its venues. A test sets fields from the exchange's own loop; a parent process
writes one JSON object of fields per line to the child's stdin; `SimConfig.faults` is how the exchange starts. Blows are
dealt at the next tick and clear themselves.
"""

from __future__ import annotations

from typing import Final

import msgspec

from dfmon.sim.deribit.archive_faults import ArchiveFault

# what a blow is, among the fields below
_ONE_SHOT_FAULTS: Final = ("roll", "pull_quotes", "cascade", "shutdown", "reset_sequences", "list_strike")


class CloseConnection(msgspec.Struct, frozen=True):
    """How every connection is ended; code 1006 drops it without a closing handshake."""

    code: int
    reason: str = ""


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """Everything off is an exchange in good health.

    Switches. `frozen`: market time stands still, while books repeat what they are. `mute`: channels whose names begin
    so say nothing while heartbeats go on. `refuse`: channels that acknowledgements leave out. `maintenance`: the venue
    says so, refuses requests, and drops every connection when it ends. `skew_s`: the exchange's clock against ours.
    `rest_status`, `rest_retry_s`, `rest_delay_s`: what REST answers with instead, its Retry-After, and how long every
    answer takes. `never_archive`: delivered series are never called archivized. `archive`: what is wrong with the pages
    of the trade archive, see there.

    Counters. `lose_prints`: so many option prints are missing from the channels (REST has them). `lose_books`: for so
    many ticks of 100 ms the changes of every book are lost.

    Blows. `roll`: deliver the nearest series now and list the next. `pull_quotes`: two bids of five are gone for
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
        """Whether a channel has been muted."""
        return bool(self.mute) and channel.startswith(self.mute)

    def is_refused(self, channel: str) -> bool:
        """Whether a channel is one the venue does not know today."""
        return bool(self.refuse) and channel.startswith(self.refuse)

    def pop_one_shots(self) -> Faults:
        """The blows that are due, which are cleared here."""
        one_shots = Faults(close=self.close, **{name: getattr(self, name) for name in _ONE_SHOT_FAULTS})
        for name in _ONE_SHOT_FAULTS:
            setattr(self, name, type(getattr(self, name))())
        self.close = None
        return one_shots

    def apply_json(self, line: bytes) -> None:
        """Set the fields of one JSON object; ValueError or msgspec.DecodeError where it is none of ours."""
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        parsed = msgspec.json.decode(line, type=Faults)
        for name in fields:
            setattr(self, name, getattr(parsed, name))
