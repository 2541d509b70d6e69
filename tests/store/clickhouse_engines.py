"""Engines of ClickHouse for tests: a server of the installed package on loopback, and the current one in process."""

from __future__ import annotations

import shutil
import subprocess
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from dfmon.store.clickhouse.client import ClickHouseAddress, ClickHouseClient, ClickHouseError
from dfmon.store.clickhouse.schema import Variant
from tests.sinks.factory import free_port

PASSWORD = "s3cret:/@&"
DATABASE = "dfmon_test"
MAX_DAYS = 9_000  # rows of the tests are of the past
_CONFIG = """
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <http_port>{http}</http_port><tcp_port>{tcp}</tcp_port><interserver_http_port>{replicas}</interserver_http_port>
  <listen_host>127.0.0.1</listen_host>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><user_files_path>{folder}/files/</user_files_path>
  <users_config>users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database><mark_cache_size>8388608</mark_cache_size>
</yandex>
"""
_USERS = """
<yandex>
  <profiles><default></default><reader><readonly>1</readonly></reader></profiles>
  <users>
    <default><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile><quota>default</quota></default>
    <reader><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
      <profile>reader</profile><quota>default</quota></reader>
  </users>
  <quotas><default></default></quotas>
</yandex>
"""


def variant(version: tuple[int, int]) -> Variant:
    return Variant(version, "", MAX_DAYS, MAX_DAYS, MAX_DAYS)


class ClickHouseServer:
    """A server with its data in a folder, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._binary = shutil.which("clickhouse-server") or ""
        if not self._binary:
            pytest.skip("no clickhouse-server here: apt-get install clickhouse-server")
        self._folder, self.http_port, self.tcp_port = folder, free_port(), free_port()
        config = _CONFIG.format(folder=folder, http=self.http_port, tcp=self.tcp_port, replicas=free_port())
        (folder / "config.xml").write_text(config)
        (folder / "users.xml").write_text(_USERS.format(password=PASSWORD.replace("&", "&amp;")))
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[ClickHouseClient] = []

    def start(self) -> None:
        command = [self._binary, f"--config-file={self._folder / 'config.xml'}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        client = self.client()
        for _ in range(600):
            try:
                client.version()
            except ClickHouseError:
                assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return
        raise TimeoutError((self._folder / "log").read_text()[-2000:])

    def close(self) -> None:
        self.kill()
        for client in self._clients:
            client.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def address(self, user: str = "", database: str = DATABASE, password: str = PASSWORD) -> ClickHouseAddress:
        return ClickHouseAddress(f"http://127.0.0.1:{self.http_port}/{database}", user, password)

    def client(
        self, user: str = "", database: str = DATABASE, password: str = PASSWORD, **options: Any
    ) -> ClickHouseClient:
        """A client that is closed with the server."""
        self._clients.append(ClickHouseClient(self.address(user, database, password), **options))
        return self._clients[-1]

    def driver(self, statement: str) -> Any:
        """The result of a statement over the native protocol, by a client that is not ours."""
        from clickhouse_driver import Client

        with Client("127.0.0.1", port=self.tcp_port, password=PASSWORD, database=DATABASE) as client:
            return client.execute(statement)

    def reset(self) -> None:
        self.client().execute(f"DROP DATABASE IF EXISTS {DATABASE}", "")


def in_process_client(database: str = DATABASE) -> ClickHouseClient:
    """A client of the current engine in this process: what it sends goes to the engine instead of a socket."""
    chdb = pytest.importorskip("chdb.session", reason="no chdb-core here")
    session = chdb.Session()

    def handle(request: httpx.Request) -> httpx.Response:
        parameters, body = request.url.params, request.content
        if request.headers.get("Content-Encoding") == "deflate":
            body = zlib.decompress(body)
        try:
            if "database" in parameters:
                session.query(f"USE {parameters['database']}")
            statement = f"{parameters.get('query', '')}\n".encode() + body
            return httpx.Response(200, content=bytes(session.query(statement.decode(), "TSV").bytes()))
        except RuntimeError as exc:
            return httpx.Response(500, content=str(exc).encode())

    address = ClickHouseAddress(f"http://127.0.0.1:9/{database}")
    return ClickHouseClient(address, httpx.MockTransport(handle))
