"""Variables of the process and of `.env`, folders of the environment, and values in the wrong form."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import msgspec
import pytest

from dfmon import config
from dfmon.cli.main import run
from dfmon.config import PublishSection
from dfmon.config.sections import section_types
from dfmon.config.variables import expand_home, read_dotenv
from dfmon.model.errors import UsageError
from dfmon.runtime.composition import read_redis_url

HOME = {"HOME": "/nowhere"}


def _error(environ: dict[str, str], dotenv: dict[str, str] | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        config.load(None, HOME | environ, {}, dotenv)
    assert raised.value.exit_code == 2
    return str(raised.value)


# ---- variables -------------------------------------------------------------------------------------------------------


def test_an_unknown_variable_is_refused_with_the_closest_one() -> None:
    expected = "environment variable DFMON_MARKET_CURRENCY is unknown; did you mean DFMON_MARKET_CURRENCIES?"
    assert _error({"DFMON_MARKET_CURRENCY": "BTC"}) == expected
    assert "allowed: DFMON_<SECTION>_<KEY>" in _error({"DFMON_ZZZZZZZZ": "1"})
    assert (
        _error({}, {"DFMON_SCREEN_RATE": "2"})
        == ".env: DFMON_SCREEN_RATE is unknown; did you mean DFMON_SCREEN_RATE_HZ?"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DFMON_SERVICE_HOST", "10.0.0.1"), ("DFMON_SERVICE_PORT_HTTP", "8765"), ("DFMON_PORT", "tcp://10.0.0.1:8765"),
        ("DFMON_PORT_8765_TCP_ADDR", "10.0.0.1"), ("DFMON_REST_SERVICE_HOST", "10.0.0.1"), ("OTHER_DFMON_X", "1"),
    ],
)  # fmt: skip
def test_variables_that_a_cluster_sets_for_a_service_are_no_mistake(name: str, value: str) -> None:
    assert config.load(None, HOME | {name: value}, {}) == config.Config()


def test_dotenv_is_below_the_environment_and_above_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[screen]\nrate_hz = 0.5\npalette = "mono"\nicons = "ascii"')
    dotenv = {"DFMON_SCREEN_PALETTE": "green-red", "DFMON_SCREEN_ICONS": "braille"}
    loaded = config.load(path, {"DFMON_SCREEN_ICONS": "unicode"}, {}, dotenv).screen
    assert (loaded.rate_hz, loaded.palette, loaded.icons) == (0.5, "green-red", "unicode")
    assert _error({}, {"DFMON_SCREEN_RATE_HZ": "abc"}).startswith(".env: DFMON_SCREEN_RATE_HZ: screen.rate_hz is 'abc'")


def test_the_example_names_every_secret_and_address() -> None:
    example = (Path(__file__).parent.parent / ".env.example").read_text(encoding="utf-8")
    named = set(re.findall(r"^# (DFMON_\w+)=", example, re.MULTILINE))
    known = {
        f"DFMON_{name}_{key.name}".upper()
        for name, section in section_types().items()
        for key in msgspec.structs.fields(section)
    }
    secret_or_address = re.compile(
        r"_(REDIS|REST|ARCHIVE|URL|USER|(\w+_)?(WEBSOCKET|REST)|\w*(TOKEN|PASSWORD|HOSTS|ORIGINS)|\w+_FILE)$"
    )
    assert named <= known
    assert {name for name in known if secret_or_address.search(name)} <= named
    uncommented = re.sub(r"^# (?=DFMON_)", "", example, flags=re.MULTILINE).replace("=...", "=x")
    values = dict(line.split("=", 1) for line in uncommented.splitlines() if line.startswith("DFMON_"))
    assert config.load(None, HOME, {}, values).history.url == "http://127.0.0.1:8123/dfmon"


def test_a_named_file_of_variables_takes_the_place_of_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    Path(".env").write_text("DFMON_SCREEN_RATE_HZ=3\n")
    Path("desk.env").write_text("DFMON_SCREEN_RATE_HZ=2\n")
    for arguments, expected in (([], "3.0  # .env:"), (["--env-file", "desk.env"], "2.0  # desk.env:")):
        assert run(["config", "show", *arguments]) == 0
        assert f"rate_hz = {expected} DFMON_SCREEN_RATE_HZ" in capsys.readouterr().out
    assert run(["config", "show", "--env-file", "none.env"]) == 2
    assert "--env-file none.env: no such file" in capsys.readouterr().err


def test_dotenv_has_names_values_quotes_and_comments(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert read_dotenv(path) == {}
    path.write_bytes(
        b"\xef\xbb\xbfDFMON_MARKET_CURRENCIES=BTC,ETH # both\r\n# DFMON_X=1\n\n"
        b"export DFMON_PUBLISH_REST='127.0.0.1:1' # x\n"
        b'DFMON_PUBLISH_REDIS="redis://:a#b@h"\nOTHER={\n  "a": 1\n}\nDFMON_SCREEN_ICONS =  ascii\n'
        b"DFMON_HISTORY_PATH=\n\xff\n"
    )
    assert read_dotenv(path) == {
        "DFMON_MARKET_CURRENCIES": "BTC,ETH",
        "DFMON_PUBLISH_REST": "127.0.0.1:1",
        "DFMON_PUBLISH_REDIS": "redis://:a#b@h",
        "DFMON_SCREEN_ICONS": "ascii",
        "DFMON_HISTORY_PATH": "",
    }
    path.write_text("A=1\nDFMON_PUBLISH_REDIS redis://:hunter2@h\n")
    with pytest.raises(UsageError) as raised:
        read_dotenv(path)
    assert str(raised.value) == f"{path}: line 2: DFMON_PUBLISH_REDIS has no value; allowed: NAME=VALUE"


def test_every_variable_of_the_example_is_known() -> None:
    text = (Path(__file__).parent.parent / ".env.example").read_text(encoding="utf-8")
    names = dict(line.removeprefix("# ").split("=", 1) for line in text.splitlines() if line.startswith("# DFMON_"))
    assert len(names) >= 5
    config.load(None, HOME, {}, names)


# ---- folders ---------------------------------------------------------------------------------------------------------


def test_folders_of_the_environment(caplog: pytest.LogCaptureFixture) -> None:
    assert config.state_folder({"HOME": "/h"}) == Path("/h/.local/state/dfmon")
    assert config.state_folder({"HOME": "/h", "XDG_STATE_HOME": "/s"}) == Path("/s/dfmon")
    assert config.state_folder({"HOME": "/h", "XDG_STATE_HOME": "~/s"}) == Path("/h/s/dfmon")
    assert config.default_path({"HOME": "/h", "XDG_CONFIG_HOME": ""}) == Path("/h/.config/dfmon/config.toml")
    logging.getLogger("dfmon").propagate = True
    with caplog.at_level("WARNING", "dfmon"):
        assert config.default_path({"HOME": "/h", "XDG_CONFIG_HOME": "conf"}) == Path("/h/.config/dfmon/config.toml")
    assert "XDG_CONFIG_HOME is 'conf', which is not used: only an absolute path is" in caplog.text


def test_a_tilde_in_a_path_is_the_home_folder() -> None:
    values = {
        "history.path": "~/h.sqlite", "record.directory": "~/rec", "market.positions": "file:~/p.csv",
        "publish.redis_file": "~/url", "publish.rest_token_file": "~/token",
    }  # fmt: skip
    loaded = config.load(None, HOME, values)
    assert loaded.history.path == "/nowhere/h.sqlite"
    assert loaded.record.directory == "/nowhere/rec"
    assert loaded.market.positions == "file:/nowhere/p.csv"
    assert (loaded.publish.redis_file, loaded.publish.rest_token_file) == ("/nowhere/url", "/nowhere/token")
    assert expand_home("a~b", HOME) == Path("a~b")
    with pytest.raises(UsageError, match="the home folder is not known"):
        expand_home("~no-such-user-here/x", {})


# ---- values in another form ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[market]\ncurrencies = "BTC"', "market.currencies is 'BTC', allowed: a list such as [\"BTC\"], coin names"),
        ('[market]\ncurrencies = "BTC,ETH"', 'a list such as ["BTC","ETH"], coin names'),
        ('[market]\ntick_s = "1"', "market.tick_s is '1', allowed: a number, not text, seconds from 0.1 to 60"),
        ('[deribit]\nenabled = "true"', "deribit.enabled is 'true', allowed: no quotes, true or false"),
        ('[model]\nscreen = "0.7"', "model.screen is '0.7', allowed: a list such as [0."),
        ('[deribit]\nrest = "https://[::1"', "deribit.rest is 'https://[::1', allowed: a URL with its scheme"),
        ('[deribit]\nrest = "https://h:99999"', "allowed: a URL with its scheme"),
        ('[publish]\nrest = "::1:8765"', "allowed: HOST:PORT or nothing; [::1]:PORT"),
    ],
)
def test_a_value_in_another_form_is_explained(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        config.load(path, HOME, {})
    assert words in str(raised.value)


def test_addresses_of_ipv6_are_taken() -> None:
    flags = {
        "publish.rest": "[::1]:8765",
        "deribit.websocket": "wss://[2001:db8::1]:443/ws",
        "okx.rest": "http://[::1]",
    }
    assert config.load(None, HOME, flags).publish.rest == "[::1]:8765"


def test_a_number_on_the_command_line_is_text_and_no_mistake_of_form() -> None:
    with pytest.raises(UsageError, match=r"screen.rate_hz is '9', allowed: a number from 0.1 to 4$"):
        config.load(None, HOME, {"screen.rate_hz": "9"})


def test_the_url_of_redis_can_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("redis://:hunter2@h:1/0\n")
    assert read_redis_url(PublishSection(redis_file=str(path))) == "redis://:hunter2@h:1/0"
    assert read_redis_url(PublishSection(redis="redis://k", redis_file=str(path))) == "redis://k"
    for text in ("", "hunter2"):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"url holds no (redis:// )?URL") as raised:
            read_redis_url(PublishSection(redis_file=str(path)))
        assert "hunter2" not in str(raised.value)


def test_a_dotenv_of_another_encoding_is_read_and_an_endless_one_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DFMON_MARKET_CURRENCIES=ETH\n", encoding="utf-16")  # as PowerShell writes it
    assert read_dotenv(path) == {"DFMON_MARKET_CURRENCIES": "ETH"}
    path.write_bytes(bytes(3_000_000))
    with pytest.raises(UsageError, match="has more than 1,048,576 bytes"):
        read_dotenv(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".env")
    assert read_dotenv(tmp_path / ".env") == {}
