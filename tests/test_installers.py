"""A clean clone by each installer, and wheel and source archive in an empty environment, whose demo publishes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("INSTALLERS" not in os.environ, reason="downloads for a minute; set INSTALLERS=1"),
]
ENVIRON = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def run(folder: Path, *command: str | Path, **variables: str) -> str:
    environ = {**ENVIRON, **variables}
    completed = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, f"{completed.stdout}{completed.stderr}"[-3000:]
    return completed.stdout


def pip_settings() -> dict[str, str]:
    """The settings of pip by their names, such as index-url, from its files and variables."""
    text = run(ROOT, sys.executable, "-m", "pip", "config", "list")
    pairs = (line.split("=", 1) for line in text.splitlines())
    return {name.rpartition(".")[2]: value.strip("'\"").replace("\\n", " ") for name, value in pairs}


def uv_variables() -> dict[str, str]:
    """The indexes and certificates of pip for uv, which does not read pip's settings."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "cert": "SSL_CERT_FILE",
    }
    found = {names[name]: value for name, value in pip_settings().items() if name in names}
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON": sys.executable} | found


def poetry_variables() -> dict[str, str]:
    """The certificates of pip for poetry. Skips the test where pip has an index that poetry does not know."""
    settings = pip_settings()
    if "index-url" in settings:
        pytest.skip(f"poetry reads PyPI, and pip {settings['index-url']}")
    certificates = {"REQUESTS_CA_BUNDLE": settings["cert"]} if "cert" in settings else {}
    return {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_VIRTUALENVS_CREATE": "true"} | certificates


@pytest.fixture(scope="module")
def _index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips the tests where no package can be downloaded."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--retries", "0", "hatchling"]
    folder = tmp_path_factory.mktemp("download")
    completed = subprocess.run(command, cwd=folder, env=ENVIRON, capture_output=True, text=True, check=False)
    if completed.returncode:
        pytest.skip(f"no package index: {completed.stderr.strip().splitlines()[-1]}")


@pytest.fixture
def clone(tmp_path: Path, _index: None) -> Path:
    """A clone of the last commit, with nothing that this checkout has beside it."""
    git = shutil.which("git")
    if git is None:
        pytest.skip("no git here")
    run(ROOT, git, "clone", "-q", ROOT, tmp_path / "clone")
    return tmp_path / "clone"


def new_environment(folder: Path, *packages: str | Path) -> Path:
    """The folder of the commands of a new environment with these packages."""
    venv.create(folder)
    run(folder, sys.executable, "-m", "pip", "--python", folder, "install", "-q", "--no-compile", *packages)
    return folder / "bin"


def installer(name: str, tmp_path: Path) -> Path:
    """The command of an installer, from its package where it is not here."""
    found = shutil.which(name)
    return Path(found) if found else new_environment(tmp_path / "installer", name) / name


def check_version(binary: Path, folder: Path) -> None:
    """The installed command starts, and shows the configuration of an empty home."""
    assert run(folder, binary, "--version").startswith("dfmon ")
    assert "[market]" in run(folder, binary, "config", "show", HOME=str(folder))


def check_demo(binary: Path, home: Path) -> None:
    """The installed command publishes snapshots of the simulated exchange, and ends at a signal."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    command: list[str | Path] = [binary, "demo", "--publish", "all"]
    with subprocess.Popen(command, env=environ, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        line = demo.stdout.readline()
        demo.send_signal(signal.SIGTERM)
        _, errors = demo.communicate(timeout=60)
    assert line, errors.decode()[-2000:]
    assert json.loads(line)["state"] in ("sim", "stale")
    assert demo.returncode == 128 + signal.SIGTERM


def test_pip(clone: Path, tmp_path: Path) -> None:
    check_version(new_environment(tmp_path / "env", clone) / "dfmon", tmp_path)


def test_uv_sync_and_tool_install(clone: Path, tmp_path: Path) -> None:
    uv, variables = installer("uv", tmp_path), uv_variables()
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    run(clone, uv, "sync", "-q", **variables)
    check_version(clone / ".venv" / "bin" / "dfmon", tmp_path)
    run(clone, uv, "tool", "install", "-q", ".", **variables, **folders)
    check_version(tmp_path / "bin" / "dfmon", tmp_path)


def test_pipx(clone: Path, tmp_path: Path) -> None:
    folders = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run(clone, installer("pipx", tmp_path), "install", "-q", "--python", sys.executable, ".", **folders)
    check_version(tmp_path / "bin" / "dfmon", tmp_path)


def test_poetry_install(clone: Path, tmp_path: Path) -> None:
    variables = poetry_variables()
    run(clone, installer("poetry", tmp_path), "install", "-q", "--no-interaction", **variables)
    check_version(clone / ".venv" / "bin" / "dfmon", tmp_path)


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_wheel_and_source_archive_in_an_empty_environment(clone: Path, tmp_path: Path, pattern: str) -> None:
    run(clone, sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", clone)
    (archive,) = (tmp_path / "dist").glob(pattern)
    commands = new_environment(tmp_path / "env", archive)
    check_demo(commands / "dfmon", tmp_path)
    run(tmp_path, commands / "dfmon", "config", "init", HOME=str(tmp_path), XDG_CONFIG_HOME="")
    assert list(tmp_path.rglob("config.toml"))
