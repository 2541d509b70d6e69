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
