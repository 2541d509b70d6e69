"""A ClickHouse for the tests of the history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.clickhouse_engines import ClickHouseServer


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """A server of the installed package; skipped with the reason where there is none."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"))
    server.start()
    yield server
    server.close()
