"""What a static import graph cannot show: what is really loaded, who reads clocks, what docstrings promise."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source_trees import nodes_of, tree_of

PACKAGE = Path(__file__).parent.parent / "dfmon"
MAX_FUNCTION_LINES = 50  # with signature and docstring
MAX_FILE_LINES = 400
PURE = ("core", "model", "engine", "venues")
IMPURE_VENUES = (
    "venues/backoff.py", "venues/connection.py", "venues/frame_queue.py", "venues/registry.py", "venues/rest/body.py",
    "venues/rest/call_runner.py", "venues/rest/client.py", "venues/transport/",
    "venues/certificates", "venues/failures", "venues/proxies", "venues/rest/routed",
)  # fmt: skip
PURE_MODULES = frozenset(
    {
        "__future__", "array", "ast", "bisect", "collections", "contextlib", "contextvars", "dataclasses", "datetime",
        "difflib", "enum", "functools", "hashlib", "heapq", "itertools", "math", "operator", "re", "statistics",
        "struct", "types", "typing", "warnings", "zlib", "dfmon", "msgspec", "numba", "numpy",
    }
)  # fmt: skip
"""Modules that pure code may import: none of them reads a clock, a file or a socket, or draws a number."""
IMPURE_BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "hash", "input", "open", "print"})
IMPURE_ATTRIBUTES = frozenset(
    {
        "random", "default_rng", "datetime64", "fromfile", "genfromtxt", "loadtxt", "memmap", "savez", "objmode",
        "time_ns", "perf_counter", "monotonic", "import_module",
    }
)  # fmt: skip
"""Of numpy and numba, which are allowed otherwise, and of modules that come in by another name."""
IMPURE_CALLS = IMPURE_ATTRIBUTES | {"now", "utcnow", "today", "load", "save"}


def _loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def _trees(folders: tuple[str, ...]) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            if folder != "venues" or not path.relative_to(PACKAGE).as_posix().startswith(IMPURE_VENUES):
                yield path, tree_of(path)


def impurities(tree: ast.AST) -> Iterator[str]:
    """Imports, calls and attributes through which a module could read the world or chance."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                found = [alias.name for alias in aliases if not _is_pure(alias.name)]
            case ast.ImportFrom(module=str(module), level=0, names=aliases):
                found = [name for alias in aliases if not _is_pure(name := f"{module}.{alias.name}")]
            case ast.ImportFrom():
                found = ["an import by dots"]
            case ast.Name(id=name) if name in IMPURE_BUILTINS:
                found = [name]
            case ast.Attribute(attr=name) if name in IMPURE_ATTRIBUTES:
                found = [name]
            case ast.Call(func=ast.Attribute(attr=name)) if name in IMPURE_CALLS:
                found = [name]
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=name), *_]):
                found = [str(name)] if name in IMPURE_CALLS | IMPURE_BUILTINS else []
            case _:
                found = []
        yield from (f"{getattr(node, 'lineno', 0)}: {name}" for name in found)


def _is_pure(module: str) -> bool:
    first, *rest = module.split(".")
    return first in PURE_MODULES and (first == "dfmon" or not IMPURE_ATTRIBUTES & set(rest))


@pytest.mark.slow
def test_the_snapshot_command_loads_neither_textual_nor_scipy() -> None:
    loaded = _loaded_by("import dfmon.cli.main, dfmon.cli.dispatch, dfmon.cli.snapshot")
    assert not {name for name in loaded if name.split(".")[0] in {"textual", "rich", "scipy"}}
    assert not loaded & {"redis", "fastapi", "uvicorn", "pyarrow", "dfmon.sim.server"}


@pytest.mark.slow
def test_running_snapshot_loads_no_textual(tmp_path: Path) -> None:
    board = tmp_path / "none.csv"
    loaded = _loaded_by(f"from dfmon.cli.main import run; run(['snapshot', {str(board)!r}])")
    assert not {name for name in loaded if name.split(".")[0] in {"textual", "rich"}}


@pytest.mark.slow
@pytest.mark.parametrize("module", ["dfmon.core.step", "dfmon.engine.driver", "dfmon.venues.deribit.protocol"])
def test_pure_modules_load_no_io_library(module: str) -> None:
    loaded = {name.split(".")[0] for name in _loaded_by(f"import {module}")}
    assert not loaded & {"textual", "websockets", "httpx", "redis", "asyncio", "sqlite3"}


@pytest.mark.slow
def test_numba_is_loaded_only_where_it_is_asked_for() -> None:
    snippet = "import dfmon; dfmon.greeks(1e5, 1e5, 0.5, 0.1); import dfmon.runtime.runner, dfmon.runtime.live_session"
    assert not {name for name in _loaded_by(snippet) if name.split(".")[0] in {"numba", "llvmlite"}}


def test_pure_code_reads_no_clock_no_file_and_no_chance() -> None:
    found = [f"{path.relative_to(PACKAGE)}:{impurity}" for path, tree in _trees(PURE) for impurity in impurities(tree)]
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        *(
            f"import {name}"
            for name in (
                "asyncio", "concurrent.futures", "ctypes", "importlib", "io", "logging", "multiprocessing",
                "numpy.random", "os", "pathlib", "picows", "queue", "random", "secrets", "select", "shelve", "socket",
                "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid",
            )
        ),
        "from numpy import random", "from numpy.random import default_rng", "np.random.default_rng(1)",
        "getattr(np, 'random')", "from importlib import import_module", "importlib.import_module('time')",
        "__import__('time')", "exec('import time')", "open('x')", "datetime.now()", "from . import clock",
        "hash('BTC')", "np.load('x')", "np.datetime64('now')",
    ],
)  # fmt: skip
def test_each_way_out_of_pure_code_is_refused(code: str) -> None:
    assert list(impurities(ast.parse(f"def f():\n    {code}")))


@pytest.mark.parametrize("code", ["import numpy as np", "from dfmon.model.units import DAY", "import collections.abc"])
def test_what_pure_code_needs_is_allowed(code: str) -> None:
    assert not list(impurities(ast.parse(code)))


def test_every_queue_is_bounded_by_its_size_or_says_by_what() -> None:
    unbounded = []
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in nodes_of(path):
            if not isinstance(node, ast.Call) or "# bounded" in lines[node.lineno - 1]:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            named = {keyword.arg for keyword in node.keywords}
            if name == "deque" and "maxlen" not in named and len(node.args) < 2:
                unbounded.append(f"{path.name}:{node.lineno}")
            if name in {"Queue", "SimpleQueue", "LifoQueue"} and "maxsize" not in named and not node.args:
                unbounded.append(f"{path.name}:{node.lineno}")
    assert not unbounded


def _docstrings() -> Iterator[tuple[str, str]]:
    """Place and text of each docstring, those of constants and fields too."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in nodes_of(path):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node.value.value


def test_docstrings_open_with_a_noun_or_a_verb() -> None:
    opening = re.compile(r"(What|Who|Whether|How|Where|When|Why|Which)\b")
    assert not [place for place, text in _docstrings() if opening.match(text)]


IMPERATIVE = re.compile(
    r"(Add|Advance|Append|Apply|Call|Close|Count|Deliver|Drop|Fill|Follow|Hand|Let|Move|Open|Publish|Put|Queue|Read|"
    r"Remove|Repeat|Run|Send|Serve|Set|Start|Stop|Take|Turn|Use|Wait|Write)"
    r" (?!(of|and|slots|time|interest|issues|connections)\b)"
)


def test_docstrings_of_functions_are_in_the_third_person() -> None:
    assert IMPERATIVE.match("Close the connection.")
    assert not [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and IMPERATIVE.match(ast.get_docstring(node) or "")
    ]


def test_docstrings_name_modules_that_exist() -> None:
    """Of names such as gamma_flip.find_flip, with an underscore in the module's."""
    named = re.compile(r"(?<![\w./])([a-z]+_[a-z_]+)\.([A-Za-z_]\w+)")
    texts = {path.stem: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert not [
        f"{place}: {module}.{name}"
        for place, text in _docstrings()
        for module, name in named.findall(text)
        if not re.search(rf"\b{name}\b", texts.get(module, ""))
    ]


def test_docstrings_have_no_heading_without_content() -> None:
    empty = re.compile(
        r"\b(Units|Shapes|Domain|Source): (none\b|any\.|any (floats|tick|board|frame)\.|any -> the same)"
    )
    assert not [place for place, text in _docstrings() if empty.search(text)]


def test_docstrings_name_only_what_exists() -> None:
    """Every identifier in backticks is a token of the code outside them."""
    quoted = re.compile(r"`([A-Za-z_][\w.]*)(?:\(\))?`")
    paths = sorted(PACKAGE.rglob("*.py"))
    tokens = {path.stem for path in paths} | {path.parent.name for path in paths}
    for path in paths:
        tokens |= set(re.findall(r"\w+", quoted.sub("", path.read_text(encoding="utf-8"))))
    missing = [
        f"{place}: {name}"
        for place, text in _docstrings()
        for name in quoted.findall(text)
        if not tokens.issuperset(name.split("."))
    ]
    assert not missing


def test_public_core_functions_of_arrays_state_units_or_shapes() -> None:
    quantity, stated = re.compile(r"F64"), re.compile(r"unit|shape|usd|coins|years|decimal", re.IGNORECASE)
    undocumented = [
        f"{path.name}:{node.name}"
        for path, tree in _trees(("core",))
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and not {"compiled", "kernels.py", "snapshot"} & set(path.parts)
        and quantity.search(f"{ast.unparse(node.args)} {ast.unparse(node.returns) if node.returns else ''}")
        and not stated.search(ast.get_docstring(node) or "")
    ]
    assert not undocumented


def test_functions_fit_a_screen() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}: {lines}"
        for path, _ in _trees(("",))
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not long


def test_no_file_has_grown_out_of_sight() -> None:
    oversized = [
        path.name
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES
    ]
    assert not oversized


def test_the_guide_for_contributors_names_these_limits() -> None:
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"Files up to {MAX_FILE_LINES} lines" in guide
    assert f"functions up to {MAX_FUNCTION_LINES} lines" in guide
