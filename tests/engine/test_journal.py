import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfmon.engine.journal import Record, RecordKind, decode, decode_columns, encode, encode_columns, encode_rest

RECORDS = st.builds(
    Record,
    seq=st.integers(0, 2**64 - 1),
    recv_ns=st.integers(-(2**63), 2**63 - 1),
    kind=st.sampled_from(RecordKind),
    source=st.text(max_size=60),
    payload=st.binary(max_size=200),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(RECORDS, max_size=5))
def test_decode_of_encode_is_the_same_record(records: list[Record]) -> None:
    assert list(decode(b"".join(map(encode, records)))) == records


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.data())
def test_truncated_block_raises_naming_the_byte_of_the_record_that_is_cut(record: Record, data: st.DataObject) -> None:
    encoded = encode(record)
    cut_at = data.draw(st.integers(1, len(encoded) - 1))
    decoded = decode(encoded + encoded[:cut_at])
    assert next(decoded) == record
    with pytest.raises(ValueError, match=rf"at byte {len(encoded)}\b"):
        next(decoded)


def test_unknown_kind_raises_naming_the_byte() -> None:
    encoded = encode(Record(1, 2, RecordKind.TICK, "", b""))
    with pytest.raises(ValueError, match="at byte 0"):
        list(decode(encoded[:16] + b"\xff" + encoded[17:]))


def test_source_that_is_no_text_raises_naming_the_byte() -> None:
    encoded = encode(Record(1, 2, RecordKind.FRAME, "x", b""))
    with pytest.raises(ValueError, match="at byte 0"):
        list(decode(encoded[:-1] + b"\xff"))


@given(st.text("abc:/?=", min_size=1), st.binary(max_size=50))
@settings(max_examples=20, deadline=None)
def test_rest_payload_gives_back_tag_and_body(tag: str, body: bytes) -> None:
    assert Record(1, 1, RecordKind.REST, "x", encode_rest(tag, body)).decode_rest() == (tag, body)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=8))
def test_a_block_by_columns_gives_back_the_same_records(records: list[Record]) -> None:
    block = b"".join(encode_columns([encode(record) for record in records]))
    assert list(decode_columns(block, len(records))) == records
    assert len(block) == sum(len(encode(record)) for record in records)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=8), st.data())
def test_a_block_by_columns_that_is_cut_or_miscounted_raises_in_words(
    records: list[Record], data: st.DataObject
) -> None:
    block = b"".join(encode_columns([encode(record) for record in records]))
    with pytest.raises(ValueError, match="block"):
        list(decode_columns(block[: data.draw(st.integers(0, len(block) - 1))], len(records)))
    with pytest.raises(ValueError, match="block"):
        list(decode_columns(block + b"x", len(records)))
