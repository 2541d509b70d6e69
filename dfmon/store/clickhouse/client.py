"""Client of ClickHouse's HTTP interface, which every version speaks: statements, inserts, results as rows or arrays.

User and password travel in a header, never in a URL, so that no log of a server or proxy has them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from dfmon.model.units import sanitize
from dfmon.store.database import StoreError
from dfmon.venues.certificates import tls_context
from dfmon.venues.proxies import proxy_of

DUPLICATE_COLUMN: Final = (15, 44)  # of an ALTER TABLE ADD COLUMN, in current and early versions
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_ROW_BYTES: Final = 1 << 20  # of a result that is read by row


class ClickHouseError(StoreError):
    """ClickHouse cannot be reached, or refused a statement: `code` is its error, 0 where it did not respond."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ClickHouseAddress:
    """An address `http://HOST:PORT/DATABASE`, with the user and the password that it is used with."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def database(self) -> str:
        return urlsplit(self.url).path.strip("/")

    @property
    def endpoint(self) -> str:
        """The URL without the database."""
        return urlunsplit((*urlsplit(self.url)[:2], "/", "", ""))


class ClickHouseClient:
    """A connection to one database. Raises ClickHouseError; use it from one thread at a time."""

    def __init__(self, address: ClickHouseAddress, transport: httpx.BaseTransport | None = None) -> None:
        self.address = address
        proxy = proxy_of(address.endpoint)
        self._http = httpx.Client(
            base_url=address.endpoint,
            auth=(address.user or "default", address.password) if address.user or address.password else None,
            verify=tls_context() if address.url.startswith("https:") else False,
            proxy=proxy.url if proxy is not None else None,
            transport=transport,
            trust_env=False,
            timeout=_TIMEOUT,
        )

    def execute(self, statement: str, database: str | None = None) -> str:
        """The result of a statement as text; `database` "" runs it outside of the database of the address."""
        with self._translate_errors():
            response = self._http.post("/", params=self._parameters(database), content=statement.encode())
            self._check(response.status_code, response.content)
            return response.text.strip()

    def insert(self, table: str, rows: bytes) -> None:
        """Inserts rows of JSON, one a line, as one block, which is stored as a whole or not at all."""
        parameters = self._parameters() | {"query": f"INSERT INTO {table} FORMAT JSONEachRow"}
        headers = {"Content-Encoding": "deflate"}
        with self._translate_errors():
            response = self._http.post("/", params=parameters, content=zlib.compress(rows, 1), headers=headers)
            self._check(response.status_code, response.content)

    def array(self, query: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The result of a query as a structured array; its columns are those of `dtype`, without NULL."""
        with self._translate_errors():
            statement = f"{query} FORMAT RowBinary"
            response = self._http.post("/", params=self._parameters(), content=statement.encode())
            self._check(response.status_code, response.content)
            return np.frombuffer(response.content, dtype)

    def rows(self, query: str) -> Iterator[dict[str, Any]]:
        """The rows of a query, streamed; 64-bit integers are text in early versions."""
        statement = f"{query} FORMAT JSONEachRow".encode()
        with (
            self._translate_errors(),
            self._http.stream("POST", "/", params=self._parameters(), content=statement) as response,
        ):
            if response.status_code != 200:
                self._check(response.status_code, response.read())
            rest = b""
            for chunk in response.iter_bytes(_ROW_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(msgspec.json.decode, filter(None, lines))
            if rest:
                yield msgspec.json.decode(rest)

    def version(self) -> tuple[int, int]:
        """The first two numbers of the server's version."""
        text = self.execute("SELECT version()", "")
        if not (found := re.match(r"(\d+)\.(\d+)", text)):
            raise ClickHouseError(f"{sanitize(self.address.endpoint)} is no ClickHouse: its version is {text[:40]!r}")
        return int(found[1]), int(found[2])

    def close(self) -> None:
        self._http.close()

    def _parameters(self, database: str | None = None) -> dict[str, str]:
        name = self.address.database if database is None else database
        return {"database": name} if name else {}

    def _check(self, status: int, body: bytes) -> None:
        """Raises for a response that is no result. An error inside of a result has a code as well."""
        if status == 200:
            return
        text = body[:2000].decode("utf-8", "replace")
        found = re.search(r"Code: (\d+)", text)
        reason = re.sub(
            r".*?DB::Exception: |\s*(\(version [^)]*\)|, e\.what\(\).*)\s*", "", text.strip(), flags=re.DOTALL
        )
        code = int(found[1]) if found else 0
        raise ClickHouseError(f"{self._shown} refused: {sanitize(reason, 160) or status} (code {code or status})", code)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as exc:
            reason = sanitize(str(exc), 120) or type(exc).__name__
            raise ClickHouseError(f"{self._shown} does not respond: {reason}") from None
        except (msgspec.MsgspecError, ValueError) as exc:
            raise ClickHouseError(f"{self._shown} sent a response of no use: {sanitize(str(exc), 120)}") from None

    @property
    def _shown(self) -> str:
        return f"ClickHouse at {sanitize(urlsplit(self.address.url).netloc.rpartition('@')[2], 80)}"
