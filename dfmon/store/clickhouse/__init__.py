"""The history in ClickHouse, over its HTTP interface: tables, a writer with an outbox, a reader."""
