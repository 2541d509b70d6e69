"""Structs made from their schema: nothing is missing in a complete one, and nothing is known in an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from dfmon.model.snapshot import FlowSnapshot, MetricRow, Metrics, from_json, to_json
from tests.structs import complete, empty


def leaves(value: Any) -> Iterator[object]:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else None
    if items is None:
        yield value
    else:
        for item in items:
            yield from leaves(item)


def test_a_complete_snapshot_has_every_number_and_comes_back_from_json() -> None:
    snapshot = complete(FlowSnapshot)
    assert from_json(to_json(snapshot, "live", detail=True)) == snapshot
    fields = msgspec.to_builtins(snapshot)
    assert None not in leaves(fields)
    numbers = [value for value in leaves(fields) if isinstance(value, float)]
    assert len(set(numbers)) > 0.8 * len(numbers), "a field taken for another shows"


def test_an_empty_snapshot_knows_nothing() -> None:
    snapshot = empty(FlowSnapshot)
    assert {getattr(snapshot.metrics, name).value for name in Metrics.__struct_fields__} == {None}
    assert snapshot.spot is None
    assert snapshot.by_strike == ()


def test_any_field_may_be_named_and_no_other() -> None:
    assert complete(MetricRow, ngi=2.5).ngi == 2.5
    assert empty(MetricRow, bucket=3).bucket == 3
    with pytest.raises(TypeError, match="nothing_like_it"):
        complete(MetricRow, nothing_like_it=1)
