"""Numbers and times as people say them. Exact values stay in attributes, which the page's script goes by."""

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

UNKNOWN = "\N{EN DASH}"


def duration(seconds: float | None) -> str:
    """`42 s`, `12 m`, `1 h 05 m`; a dash when unknown."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s".replace(".0 s", " s")
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} m" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} m"


def percent(share: float | None) -> str:
    """`81 %`, `3.2 %`; a dash when unknown."""
    if share is None:
        return UNKNOWN
    return f"{share * 100:.0f} %" if share in (0, 1) or share >= 0.1 else f"{share * 100:.1f} %"


def spoken(code: str | None) -> str:
    """A snake_case code as words."""
    return (code or "").replace("_", " ").strip()


def when(at: datetime | None, form: str = "ago") -> Markup:
    """A `<time>` that the page's script rewrites in the viewer's zone; `form`: ago, age, old, time or full."""
    if at is None:
        return Markup("<span>never</span>")
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    exact = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    # what changes with every second must not be in the HTML: it would be sent as news
    shown = {"full": exact, "age": f"since {at:%H:%M:%S}", "old": f"of {at:%H:%M:%S}"}.get(
        form, f"{at:%H:%M:%S}"
    )
    return Markup('<time datetime="{}" data-time="{}" title="{}">{}</time>').format(
        at.isoformat(), form, exact, shown
    )


def bars(values: Sequence[float | None], label: str) -> Markup:
    """A tiny bar chart as SVG, with a gap for what is unknown; the label says it to those who do not see it.

    The highest bar is that of the largest value, or of 1.
    """
    top = max([1.0, *(value for value in values if value is not None)])
    width = 5 * len(values) - 1
    rows = [
        Markup('<rect x="{}" y="{}" width="4" height="{}"/>').format(
            5 * place, 16 - (height := max(round(15 * value / top), 1)), height
        )
        for place, value in enumerate(values)
        if value is not None
    ]
    return Markup(
        '<svg class="bars" viewBox="0 0 {0} 16" width="{0}" height="16" role="img" aria-label="{1}">'
        "<title>{1}</title>{2}</svg>"
    ).format(width, escape(label), Markup("").join(rows))
