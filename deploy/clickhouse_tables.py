"""Writes the statements of a ClickHouse history, for review and for databases that dfmon may not create tables in.

python deploy/clickhouse_tables.py; a test holds the files to it. `clickhouse/tables.sql` is for one server,
`clickhouse/cluster.sql` for a cluster whose name is to be put in place of `CLUSTER`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dfmon.store.clickhouse import schema

FOLDER: Final = Path(__file__).parent / "clickhouse"
CLUSTER: Final = "CLUSTER"
_VERSION: Final = (99, 0)  # with codecs and expiry


def table_files() -> dict[Path, str]:
    """The text of each file by its path."""
    return {
        FOLDER / "tables.sql": _text(schema.Variant(_VERSION)),
        FOLDER / "cluster.sql": _text(schema.Variant(_VERSION, CLUSTER)),
    }


def _text(variant: schema.Variant) -> str:
    steps = schema.migrations(variant)
    taken = ",\n".join(f"    ({number}, '{step.name}')" for number, step in enumerate(steps, start=1))
    statements = [*schema.all_statements(variant), f"INSERT INTO migrations (number, name) VALUES\n{taken}"]
    return ";\n\n".join(statements) + ";\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in table_files().items():
        path.write_text(text, encoding="utf-8")
