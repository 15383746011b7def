"""The pages agree with the tree: links lead somewhere, commands exist, and the changelog ends at the version."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from orchestration.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_BY_SOURCE = ("AFTERCALL_SECRET_", "AFTERCALL_ALLOW_FROM_", "AFTERCALL_API_KEY_", "AFTERCALL_API_URL_")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen[slug] = seen.get(slug, -1) + 1
        seen.setdefault(f"{slug}-{count}" if count else slug, 0)
    return set(seen)


def dead_links(page: Path, text: str) -> list[str]:
    """The relative links of a page that lead to no file, or to no heading of it."""
    links = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", _FENCE.sub("", text))
    dead = []
    for link in (first or second for first, second in links):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_is_seen() -> None:
    text = "[a](docs/style.md) [b](docs/gone.md) [c](docs/style.md#ten-rules) [d](docs/style.md#eleven-rules)"
    assert dead_links(ROOT / "README.md", text) == ["docs/gone.md", "docs/style.md#eleven-rules"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    """Every `aftercall …` in code, in a line or in a block."""
    text = page.read_text(encoding="utf-8")
    spans = [*re.findall(r"`(?:\.venv/bin/)?(aftercall [^`\n]+)`", text)]
    for block in _FENCE.findall(text):
        spans += re.findall(r"^(?:\$ )?(?:\.venv/bin/)?(aftercall [^#\n]+)", block, re.MULTILINE)
    for span in spans:
        words = span.split()[1:]
        command: click.Command | None = main
        while words and isinstance(command, click.Group) and not words[0].startswith("-"):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, span
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= options, span


def settings() -> Iterator[str]:
    """The environment variables that hold a setting: of every settings class, wherever it is."""
    folders = [ROOT / folder for folder in ("receiver", "integrations", "orchestration")]
    channels = [path.parent for path in (ROOT / "integrations").glob("*/preview.py")]
    files = [path for folder in folders for path in folder.rglob("config.py")]
    for path in [*files, *(path for channel in channels for path in channel.glob("*.py"))]:
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    classes = [BaseSettings]
    for one in classes:
        classes += one.__subclasses__()
        for name, field in one.model_fields.items():
            yield f"AFTERCALL_{name.upper()}"
            if isinstance(field.validation_alias, AliasChoices):
                yield from map(str, field.validation_alias.choices)


def test_settings_exist() -> None:
    """Names of `AFTERCALL_…` in every page but the records of decisions; a `*` or `<SOURCE>` stands for the rest.

    `MYDESK` is the destination that a page adds.
    """
    known = set(settings())
    unknown = [
        f"{page.name}: {name}"
        for page in [page for page in PAGES if page.parent.name != "decisions"] + [ROOT / ".env.example"]
        for name in sorted(set(re.findall(r"\bAFTERCALL_[A-Z0-9_]+", page.read_text(encoding="utf-8"))))
        if name not in known
        and not name.startswith("AFTERCALL_MYDESK_")
        and not (name.endswith("_") and any(one.startswith(name) for one in known))
        and not name.startswith(_BY_SOURCE)
    ]
    assert unknown == []


def test_named_files_exist() -> None:
    """Paths in code spans; two pages make their files as they go, and S3 is an example of a store to add."""
    pages = [
        page
        for page in PAGES
        if page.parent.name != "decisions" and page.name not in {"new.md", "new-destination.md"}
    ]
    missing = [
        path
        for page in pages
        for path in re.findall(
            r"`((?:receiver|integrations|orchestration|dbt_project|tests|docs)/[\w./-]+)`",
            page.read_text(encoding="utf-8"),
        )
        if not (ROOT / path).exists()
    ]
    assert missing == ["receiver/landing/s3.py"]


def test_the_newest_release_is_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    releases = re.findall(
        r"^## (\S+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M
    )
    assert releases[0] == version
