"""Writes the tables of docs/redis.md from the fields that the sink writes: `python docs/redis_tables.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from dfmon.sinks.redis_schema import event_field_rows, snapshot_field_rows

PAGE: Final = Path(__file__).parent / "redis.md"
_SNAPSHOT_HEADER: Final = "| field | unit | positive, negative | meaning |\n| --- | --- | --- | --- |\n"
_EVENT_HEADER: Final = "| field | meaning |\n| --- | --- |\n"


def with_tables(page: str) -> str:
    """The page with both tables as of now."""
    for header, rows in ((_SNAPSHOT_HEADER, snapshot_field_rows()), (_EVENT_HEADER, event_field_rows())):
        table = header + "".join(f"| `{name}` | {' | '.join(cells)} |\n" for name, *cells in rows)
        page = re.sub(re.escape(header) + r"(\|.*\n)*", table.replace("\\", r"\\"), page)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
