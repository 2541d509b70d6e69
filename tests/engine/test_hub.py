from msgspec.structs import replace

from dfmon.engine.hub import SnapshotHub
from dfmon.model.snapshot import FlowSnapshot
from tests.chains import frame, shot


def test_hub_holds_the_newest_snapshot_of_each_underlying() -> None:
    hub = SnapshotHub()
    first, second, ether = shot(frame()), shot(frame(spot=90_000.0)), shot(frame(underlying="ETH"))
    for snapshot in (first, ether, second):
        hub.publish(snapshot)
    assert hub.latest("BTC") is second
    assert hub.latest("ETH") is ether
    assert hub.latest("SOL") is None
    assert hub.underlyings() == ("BTC", "ETH")
    assert hub.version == 3


def test_listeners_hear_of_a_snapshot_after_it_is_in_the_slot() -> None:
    hub, in_slot = SnapshotHub(), []

    def add_listener(snapshot: FlowSnapshot) -> None:
        in_slot.append(hub.latest("BTC") is snapshot)

    hub.add_listener(add_listener)
    hub.publish(shot(frame()))
    assert in_slot == [True]


def test_the_hub_names_the_run_of_its_snapshots_and_leaves_the_names_of_others() -> None:
    hub, made = SnapshotHub("live", "run-1"), shot(frame())
    hub.publish(made)
    shown = hub.latest("BTC")
    assert shown is not None
    assert (shown.session, shown.views is made.views, shown.digest()) == ("run-1", True, made.digest())
    hub.publish(replace(made, session="run-2"))
    assert shown is not (of_another := hub.latest("BTC"))
    assert of_another is not None
    assert of_another.session == "run-2"
