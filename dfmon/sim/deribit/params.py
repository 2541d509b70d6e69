"""Parameters of Deribit's methods, and the errors of those that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from dfmon.sim.deribit.records import Record

Params = Mapping[str, Any]
T = TypeVar("T")
_MAX_PAGE: Final = 1_000


class RpcError(Exception):
    """An error reply."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def body(self) -> Record:
        """The `error` member."""
        body: Record = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def invalid_params(reason: str, param: str) -> RpcError:
    """Deribit's error -32602."""
    return RpcError(-32602, "Invalid params", {"reason": reason, "param": param})


def page(rows: list[T], params: Params, *, forward: bool) -> tuple[list[T], bool]:
    """Returns `count` rows in the order of `sorting`; by default from the start when one was given, else the newest."""
    count = min(max(integer_param(params, "count") or 10, 1), _MAX_PAGE)
    sorting = params.get("sorting", "default")
    ascending = forward if sorting == "default" else sorting == "asc"
    page = rows[:count] if ascending else rows[-count:][::-1]
    return page, len(rows) > count


def string_param(params: Params, key: str) -> str:
    """A mandatory text."""
    value = params.get(key)
    if not isinstance(value, str) or not value:
        raise RpcError(-32602, "Invalid params", {"reason": "value is required", "param": key})
    return value


def integer_param(params: Params, key: str) -> int | None:
    """An optional whole number."""
    value = params.get(key)
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise invalid_params("must be an integer", key) from None


def trade_number_param(params: Params, key: str) -> int | None:
    """The counter inside a trade id, with or without its currency."""
    value = params.get(key)
    return None if value is None else integer_param({key: str(value).rpartition("-")[2]}, key)
