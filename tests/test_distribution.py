"""What is handed out beside the code: locks, man page, completions, unit file, wheel and source archive."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from shell_files import generated_files

from dfmon.config.sections import section_types

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = {
    "requirements.lock": [name for name in EXTRAS if name not in {"test", "docs", "clients"}],
    "requirements-test.lock": ["test"],
}


def _locked(name: str) -> dict[str, set[Version]]:
    pins = re.findall(r"^([\w.-]+)==([^ ;\\]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    versions: dict[str, set[Version]] = {}
    for package, version in pins:
        versions.setdefault(canonicalize_name(package), set()).add(Version(version))
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_a_version_that_is_allowed_for_every_dependency(name: str) -> None:
    wanted = [*PROJECT["dependencies"], *(text for extra in LOCKS[name] for text in EXTRAS[extra])]
    locked = _locked(name)
    for requirement in map(Requirement, wanted):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert any(version in requirement.specifier for version in versions), f"{name}: renew it, {requirement}"


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_hashed_and_none_names_a_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    for pin in re.split(r"\n(?=\w)", text.strip()):
        assert "--hash=sha256:" in pin, pin.splitlines()[0]


def test_the_test_extra_has_every_other_extra() -> None:
    test = set(EXTRAS["test"])
    assert not {text for name, extra in EXTRAS.items() if name != "test" for text in extra} - test


def test_what_several_extras_have_is_in_the_group_that_spares_poetry_their_combinations() -> None:
    counts = Counter(text for extra in EXTRAS.values() for text in extra)
    assert {text for text, count in counts.items() if count > 1} == set(PYPROJECT["dependency-groups"]["shared"])


@pytest.mark.parametrize("path", generated_files(), ids=lambda path: path.name)
def test_man_page_and_completions_are_those_of_the_parser(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated_files()[path], "run: python deploy/shell_files.py"


def test_bash_takes_the_completions() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    subprocess.run([bash, "-n", ROOT / "deploy" / "dfmon.bash"], check=True)


@pytest.mark.slow
def test_systemd_takes_the_unit() -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    unit = ROOT / "deploy" / "dfmon.service"
    completed = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.slow
def test_wheel_and_source_archive_are_complete_and_reproducible(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert completed.returncode == 0, completed.stderr[-2000:]
    wheel, archive = next(first.glob("*.whl")), next(first.glob("*.tar.gz"))
    assert wheel.read_bytes() == next(second.glob("*.whl")).read_bytes()
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
    assert "dfmon/config.toml" in names
    assert any(name.endswith("share/man/man1/dfmon.1") for name in names)
    assert {f"dfmon/{path.relative_to(ROOT / 'dfmon')}" for path in (ROOT / "dfmon").rglob("*.py")} <= set(names)
    with tarfile.open(archive) as source:
        packed_names = {name.partition("/")[2] for name in source.getnames()}
    assert {"pyproject.toml", "README.md", "config.toml", "tests/conftest.py", "deploy/dfmon.service"} <= packed_names


def _instructions(text: str) -> list[tuple[str, str]]:
    """Keyword and arguments of each instruction of a Dockerfile."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def test_the_image_is_pinned_unprivileged_and_checks_its_health() -> None:
    instructions = _instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    images = [arguments.split()[0] for keyword, arguments in instructions if keyword == "FROM"]
    assert len(images) == 2
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", image) for image in images)
    last = dict(instructions)
    assert last["USER"] not in {"root", "0"}
    assert last["EXPOSE"] == "8000"
    assert "/healthz" in last["HEALTHCHECK"]
    assert "0.0.0.0:8000" in last["ENV"]


def test_the_compose_file_starts_what_the_image_offers() -> None:
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"dfmon", "redis", "clickhouse"}
    assert set(services["dfmon"]["depends_on"]) == {"redis", "clickhouse"}
    assert all("healthcheck" in services[name] for name in services["dfmon"]["depends_on"])
    assert all(re.fullmatch(r"[\w/-]+:\d+\.[\w.-]+", services[name]["image"]) for name in ("redis", "clickhouse"))
    assert (ROOT / "deploy" / services["dfmon"]["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    known = {
        f"DFMON_{name}_{key.name}".upper()
        for name, section in section_types().items()
        for key in msgspec.structs.fields(section)
    }
    text = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
    assert {*services["dfmon"]["environment"], *re.findall(r"DFMON_\w+", text)} <= known
    guide = (ROOT / "docs" / "history.md").read_text(encoding="utf-8")
    assert all(f"`{name}=…`" in guide for name in re.findall(r"\$\{(\w+):\?", text))


@pytest.mark.slow
@pytest.mark.skipif("IMAGE_STEPS" not in os.environ, reason="downloads for minutes; set IMAGE_STEPS=1")
def test_the_steps_of_the_image_make_an_installation_that_runs(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    _, first_stage, _ = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")
    for keyword, arguments in _instructions(f"FROM {first_stage}"):
        if keyword == "COPY":
            *names, folder = arguments.split()
            for name in names:
                found = ROOT / name
                copy = shutil.copytree if found.is_dir() else shutil.copy2
                copy(found, source / folder if found.is_dir() else source / found.name)
        elif keyword == "RUN":
            command = arguments.replace("/opt/dfmon", str(target)).replace("python ", f"{sys.executable} ", 1)
            completed = subprocess.run(command, shell=True, cwd=source, capture_output=True, text=True, check=False)
            assert completed.returncode == 0, completed.stderr[-2000:]
    environ = {"PATH": f"{target}/bin:/usr/bin:/bin", "HOME": str(tmp_path)}
    subprocess.run([target / "bin" / "dfmon", "config", "init"], env=environ, check=True, capture_output=True)
    assert (tmp_path / ".config" / "dfmon" / "config.toml").exists()
    assert (target / "share" / "man" / "man1" / "dfmon.1").exists()
