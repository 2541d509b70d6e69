"""A hook of mkdocs: pages from the top of the repository, and folders as entries of the navigation.

The README and CONTRIBUTING.md become pages of the site, with their links into docs/ adjusted. An entry `howto/` of the
navigation stands for all pages of that folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md"}


def on_config(config: Any) -> Any:
    """Replaces each folder in the navigation by its pages, the index first."""
    config.nav = _expand(config.nav, Path(config.docs_dir))
    return config


def _expand(entry: Any, docs: Path) -> Any:
    if isinstance(entry, list):
        return [_expand(item, docs) for item in entry]
    if isinstance(entry, dict):
        return {title: _expand(item, docs) for title, item in entry.items()}
    if not entry.endswith("/"):
        return entry
    pages = sorted((docs / entry).glob("*.md"), key=lambda page: (page.name != "index.md", page.name))
    return [f"{entry}{page.name}" for page in pages]


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that stand at the top of the repository."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, page, content=_link_pages(text)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Points links out of docs/ to the pages made from these files."""
    return _link_pages(markdown)


def _link_pages(text: str) -> str:
    for source, page in PAGES.items():
        text = text.replace(f"](../{source}", f"]({page}").replace(f"]({source}", f"]({page}")
    return text
