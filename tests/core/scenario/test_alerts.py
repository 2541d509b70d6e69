import pytest

from dfmon.core.scenario.alerts import MAX_ALERTS, newest_alerts, scene_alert
from dfmon.core.scenario.buckets import Bucket, Scene
from dfmon.model.snapshot import Alert

DAMP, PIN = Scene(Bucket.DAMP), Scene(Bucket.PIN)
ARMED, SQUEEZE = Scene(Bucket.SQUEEZE, armed=True), Scene(Bucket.SQUEEZE)


@pytest.mark.parametrize(
    ("before", "after"), [(None, PIN), (DAMP, None), (DAMP, DAMP), (DAMP, ARMED), (SQUEEZE, ARMED)]
)
def test_no_alert_for_the_first_scene_or_an_armed_one(before: Scene | None, after: Scene | None) -> None:
    assert scene_alert(1, "BTC", "flow", before, after, ("because",)) is None


def test_alert_names_coin_model_and_reasons() -> None:
    alert = scene_alert(1, "BTC", "flow", ARMED, SQUEEZE, ("NGI -40.0M", "|z| 1.2 >= 1"))
    assert alert is not None
    assert alert.text == "BTC flow: SQUEEZE (armed) -> SQUEEZE: NGI -40.0M; |z| 1.2 >= 1"
    assert (alert.kind, alert.underlying, alert.model) == ("SCENE", "BTC", "flow")


def test_alerts_are_merged_newest_first_and_bounded() -> None:
    first = tuple(Alert(ts, "SCENE", "") for ts in range(100, 0, -2))
    second = tuple(Alert(ts, "FEED", "") for ts in range(99, 0, -2))
    merged = newest_alerts(first, second)
    assert [alert.ts_ns for alert in merged] == list(range(100, 100 - MAX_ALERTS, -1))
