"""The preview destination of every channel: it stores in the outbox exactly what would have gone out.

How a thing looks is the channel's own rendering; this module only stores it.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, open_destination
from integrations.outbox.schema import PREVIEW, clean, previews
from integrations.rendering import Rendered

_UPDATE = (
    update(previews)
    .where(previews.c.action_key == bindparam("key"))
    .values(
        destination=PREVIEW,
        media_type=bindparam("new_media_type"),
        title=bindparam("new_title"),
        body=bindparam("new_body"),
        revision=previews.c.revision + 1,
        updated_at=bindparam("new_updated_at"),
    )
)


class PreviewDestination:
    """Renders with the channel's rendering; counts as sent."""

    name = PREVIEW

    def __init__(self, render: Callable[[Delivery], Rendered]) -> None:
        self.render = render
        self._collected: dict[str, tuple[Delivery, Rendered]] = {}

    def find(self, delivery: Delivery) -> str | None:
        """Always None: a preview is written together with its mark, so there is never only one of them."""
        return None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Render it; `keep` writes it."""
        self._collected[delivery.action_key] = (delivery, self.render(delivery))
        return external_id or f"preview:{delivery.action_key}"

    def keep(self, connection: Connection, now: datetime) -> None:
        """Write all that was collected: new previews, and new revisions of old ones."""
        known: set[str] = set(
            connection.execute(
                select(previews.c.action_key).where(previews.c.action_key.in_(list(self._collected)))
            ).scalars()
        )
        new, changed = [], []
        for key, (delivery, rendered) in self._collected.items():
            values = {
                "media_type": rendered.media_type,
                "title": clean(rendered.title),
                "body": clean(rendered.body),
                "updated_at": now,
            }
            if key in known:
                changed.append({"key": key} | {f"new_{name}": value for name, value in values.items()})
            else:
                fixed = {"action_key": key, "destination": PREVIEW, "channel": delivery.channel}
                new.append(values | fixed | {"revision": 1, "created_at": now})
        if new:
            connection.execute(insert(previews), new)
        if changed:
            connection.execute(_UPDATE, changed)
        self._collected.clear()


def render(delivery: Delivery, settings: IntegrationSettings) -> Rendered:
    """What goes out, by the channel's own rendering. Raises Rejected if nothing can."""
    target = open_destination(delivery.channel, settings, PREVIEW)
    assert isinstance(target, PreviewDestination)  # noqa: S101 - its name says so
    return target.render(delivery)
