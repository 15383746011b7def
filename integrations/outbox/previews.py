"""The preview destination of every channel, and the one way in which the board, dry runs and people see an action.

How an action looks, and who is to get none, is the channel's own decision.
"""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from integrations.config import IntegrationSettings
from integrations.destinations import Delivery, open_destination
from integrations.outbox.attempt import delivery_of
from integrations.outbox.models import Action
from integrations.outbox.schema import PREVIEW, clean, previews
from integrations.rendering import Rendered

_UPDATE = (
    update(previews)
    .where(previews.c.action_key == bindparam("key"))
    .values(
        media_type=bindparam("new_media_type"),
        title=bindparam("new_title"),
        body=bindparam("new_body"),
        revision=previews.c.revision + 1,
        updated_at=bindparam("new_updated_at"),
    )
)


class PreviewDestination:
    """Renders with the channel's rendering; counts as sent.

    Args:
        render: the channel's rendering.
        check: raises Suppressed for what must not go out, whatever the destination.
    """

    name = PREVIEW

    def __init__(
        self,
        render: Callable[[Delivery], Rendered],
        check: Callable[[Delivery], None] = lambda delivery: None,
    ) -> None:
        self.render, self._check = render, check
        self._collected: dict[str, tuple[Delivery, Rendered]] = {}

    def find(self, delivery: Delivery) -> str | None:
        """Always None: a preview is written together with its mark, so there is never only one of them."""
        return None

    def body(self, delivery: Delivery, external_id: str | None) -> Rendered:
        """What `send` would store."""
        self._check(delivery)
        return self.render(delivery)

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Render it; `keep` writes it."""
        self._collected[delivery.action_key] = (delivery, self.body(delivery, external_id))
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


def rendered(engine: Engine, action: Action, settings: IntegrationSettings, now: datetime) -> Rendered:
    """What went out, or would go out now, by the channel's own rendering.

    Raises Rejected, Suppressed or DestinationUnavailable if nothing can go out.
    """
    target = open_destination(action.channel, settings, PREVIEW)
    assert isinstance(target, PreviewDestination)  # noqa: S101 - its name says so
    delivery = delivery_of(engine, action, target, settings, action.sent_at or now)
    return target.render(delivery) if action.sent_at else target.body(delivery, None)
