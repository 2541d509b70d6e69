from __future__ import annotations

from pathlib import Path

import pytest

from dfmon.config import PublishSection
from dfmon.model.errors import UsageError
from dfmon.runtime.composition import read_rest_token

A_TOKEN = "a-token-of-some-length"


def test_a_token_comes_from_a_file_or_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{A_TOKEN}\n")
    assert read_rest_token(PublishSection(rest_token_file=str(path))) == A_TOKEN
    assert read_rest_token(PublishSection(rest_token=A_TOKEN)) == A_TOKEN
    assert read_rest_token(PublishSection()) == ""
    path.write_text("\n")
    for empty_or_absent in (path, tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError, match="token"):
            read_rest_token(PublishSection(rest_token_file=str(empty_or_absent)))
