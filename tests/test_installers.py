"""A clean clone by each installer, and wheel and source archive in an empty environment: the demo publishes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif("INSTALLERS" not in os.environ, reason="downloads for minutes; set INSTALLERS=1"),
]


CERTIFICATES = ssl.get_default_verify_paths().cafile


def run(folder: Path, *command: str | Path, **variables: str) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "LANG": "C.UTF-8", **variables}
    if CERTIFICATES is not None:  # those of the system, which installers do not look for by themselves
        environ |= dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), CERTIFICATES)
    completed = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stderr[-3000:]


def tool(name: str) -> str:
    """The path of an installer; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} here")
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the last commit, with nothing that this checkout has beside it."""
    run(ROOT, tool("git"), "clone", "-q", ROOT, tmp_path / "clone")
    return tmp_path / "clone"


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
    run(clone, sys.executable, "-m", "venv", tmp_path / "env")
    run(clone, tmp_path / "env" / "bin" / "pip", "install", "-q", ".")
    check_demo(tmp_path / "env" / "bin" / "dfmon", tmp_path)


def test_uv_sync(clone: Path, tmp_path: Path) -> None:
    run(clone, tool("uv"), "sync", "-q", "--python", sys.executable)
    check_demo(clone / ".venv" / "bin" / "dfmon", tmp_path)


def test_uv_tool_install(clone: Path, tmp_path: Path) -> None:
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    run(clone, tool("uv"), "tool", "install", "-q", "--python", sys.executable, ".", **folders)
    check_demo(tmp_path / "bin" / "dfmon", tmp_path)


def test_pipx(clone: Path, tmp_path: Path) -> None:
    folders = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run(clone, tool("pipx"), "install", "-q", "--python", sys.executable, ".", **folders)
    check_demo(tmp_path / "bin" / "dfmon", tmp_path)


def test_poetry_install(clone: Path, tmp_path: Path) -> None:
    settings = {"POETRY_VIRTUALENVS_IN_PROJECT": "true", "POETRY_VIRTUALENVS_CREATE": "true"}
    run(clone, tool("poetry"), "install", "-q", "--no-interaction", **settings)
    check_demo(clone / ".venv" / "bin" / "dfmon", tmp_path)


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_wheel_and_source_archive_in_an_empty_environment(clone: Path, tmp_path: Path, pattern: str) -> None:
    run(clone, sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", clone)
    (archive,) = (tmp_path / "dist").glob(pattern)
    run(tmp_path, sys.executable, "-m", "venv", tmp_path / "env")
    run(tmp_path, tmp_path / "env" / "bin" / "pip", "install", "-q", archive)
    check_demo(tmp_path / "env" / "bin" / "dfmon", tmp_path)
    run(tmp_path, tmp_path / "env" / "bin" / "dfmon", "config", "init")
