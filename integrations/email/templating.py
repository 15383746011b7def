"""The words of the mails: shipped templates, the operator's own before them, and what is wrong with one said plainly.

A mail of a language is one file, `<language>/<template>.j2`, whose blocks hold the words once; `layout.html.j2` and
`layout.txt.j2` turn them into both bodies, `subject.txt.j2` into the subject. A file of the same name in the home's
`email_templates/` goes before the shipped one, which it may still extend as `shipped/<name>`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from integrations.config import IntegrationSettings
from integrations.email.brand import Brand
from integrations.email.languages import candidates, direction, isolated, phone
from integrations.errors import DestinationUnavailable
from integrations.rendering import line

TEMPLATES = ("apology_escalation", "additional_resources", "thank_you")
"""Mails to customers."""
ALERT = "pipeline_alert"
"""A mail to the people who run aftercall: a problem, or its end."""
IN_HOME = "email_templates"
_SHIPPED = Path(__file__).parent / "templates"
_PARAGRAPH = '<p style="margin:0 0 16px">'


@dataclass(frozen=True)
class Wording:
    """A mail in words: its language, its subject in one line, and both bodies."""

    language: str
    subject: str
    text: str
    html: str


def wording(template: str, tag: object, texts: Mapping[str, Any], brand: Brand, home: Path) -> Wording:
    """A mail in the closest language there is.

    Args:
        template: one of `TEMPLATES`, or `ALERT`.
        tag: language of the call, a BCP 47 tag; anything else means English.
        texts: what the templates show, plain text: `name`, `topic`, `summary`, `reference`, `unsubscribe_url`; of an
            alert also `headline`, `action_needed`, `is_over`.
        brand: whose mail it is.
        home: where the operator's own templates are looked for.

    Raises:
        DestinationUnavailable: naming file and line, for a template that is broken.
    """
    own = home / IN_HOME
    language = next(one for one in candidates(tag) if _exists(f"{one}/{template}.j2", own))
    bodies = {}
    for layout in ("subject.txt.j2", "layout.txt.j2", "layout.html.j2"):
        html = layout.endswith(".html.j2")
        values = {
            **texts,
            "brand": brand,
            "name": isolated(str(texts["name"]), language, html=html),
            "phone": phone(brand.phone, language, html=html),
            "language": language,
            "direction": direction(language),
            "layout": layout,
        }
        bodies[layout] = _rendered(f"{language}/{template}.j2", values, own, html=html)
    return Wording(
        language,
        line(bodies["subject.txt.j2"], 200),
        bodies["layout.txt.j2"].strip() + "\n",
        bodies["layout.html.j2"].strip() + "\n",
    )


def languages(settings: IntegrationSettings) -> list[str]:
    """Languages that have a mail of their own, shipped or in the home."""
    folders = (_SHIPPED, settings.home / IN_HOME)
    names = (
        path.parent.name for folder in folders for name in TEMPLATES for path in folder.glob(f"*/{name}.j2")
    )
    return sorted({name for name in names if candidates(name)[0] == name})


def _exists(name: str, own: Path) -> bool:
    return any((folder / name).is_file() for folder in (own, _SHIPPED))


def _rendered(name: str, values: Mapping[str, Any], own: Path, *, html: bool) -> str:
    try:
        return _environment(own, _fingerprint(own), html).get_template(name).render(values)
    except (
        TemplateError,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        OSError,
    ) as error:
        raise DestinationUnavailable(f"the e-mail template {_place(error, name)}: {_what(error)}") from None


@lru_cache(maxsize=8)
def _environment(own: Path, _changed: object, html: bool) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader(
            [FileSystemLoader([own, _SHIPPED]), PrefixLoader({"shipped": FileSystemLoader(_SHIPPED)})]
        ),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"paragraphs": paragraphs, "flow": flow}
    return environment


def _fingerprint(own: Path) -> tuple[tuple[str, int], ...]:
    """Changes when a file of the operator's is added, edited or removed: the next mail goes by it."""
    return tuple(sorted((str(path), path.stat().st_mtime_ns) for path in own.rglob("*.j2")))


def paragraphs(text: str) -> Markup:
    """Escaped text with blank lines between its paragraphs as HTML; what is HTML already stays as it is."""
    parts = (part.strip() for part in re.split(r"\n\s*\n", str(text)) if part.strip())
    wrapped = (part if part.startswith("<") else f"{_PARAGRAPH}{part}</p>" for part in parts)
    return Markup("\n".join(wrapped))  # noqa: S704 - Jinja has escaped every value; the rest is the template's own


def flow(text: str) -> str:
    """The same as plain text: a line a paragraph, which mail programs fold to their own width."""
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return "\n\n".join(part for part in parts if part)


def _place(error: BaseException, name: str) -> str:
    """File and line that a person has to look at."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename or error.name or name}, line {error.lineno}"
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else name


def _what(error: BaseException) -> str:
    if isinstance(error, TemplateNotFound):
        return f"there is no template {error.name!r}"
    return line(error, 300) or type(error).__name__


def broken(settings: IntegrationSettings, brand: Brand) -> Iterator[str]:
    """What is wrong with each template that cannot be rendered, with much known of a call and with little."""
    much = dict.fromkeys(("name", "topic", "summary", "reference", "unsubscribe_url"), "x")
    problems = set()
    for language in languages(settings):
        for template in TEMPLATES:
            for values in (much, dict.fromkeys(much, "")):
                try:
                    wording(template, language, values, brand, settings.home)
                except DestinationUnavailable as error:
                    problems.add(str(error))
    yield from sorted(problems)
