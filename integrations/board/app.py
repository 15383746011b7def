"""Puts the board together: what it reads, who renders, and the Flask application."""

from flask import Flask

from integrations.board import actions, formatting, masking
from integrations.board.access import Access
from integrations.board.broadcaster import Broadcaster
from integrations.board.config import BoardSettings
from integrations.board.health import HealthWatch
from integrations.board.landing_feed import LandingFeed
from integrations.board.page import Page, Render
from integrations.board.published import PublishedCopy
from integrations.board.routes import board_pages
from integrations.config import IntegrationSettings
from integrations.outbox import open_outbox, state_of
from receiver.landing import open_landing


class Board:
    """One running board; `start` and `stop` its threads."""

    def __init__(self, settings: BoardSettings, copy: PublishedCopy) -> None:
        self._former_state = settings.home / "board" / "live.state"
        self.access, self.broadcaster = Access(settings), Broadcaster()
        self.app = _flask(settings)
        systems = IntegrationSettings(home=settings.home)
        self._outbox = open_outbox(systems.outbox_url)
        landing = open_landing(settings.landing)
        self._page = Page(settings, systems, self.broadcaster, copy, self._outbox, _renderer(self.app))
        self._health_watch = HealthWatch(settings, copy, self._page.show_around)
        self._landing_feed = LandingFeed(settings, landing, copy, self._page.show_live)
        self.app.register_blueprint(
            board_pages(settings, systems, self.access, self.broadcaster, copy, landing, self._outbox)
        )

    def start(self) -> None:
        """Begin to follow the landing store, the published copy and the outbox."""
        # earlier versions kept phone numbers there, which nothing would ever delete
        self._former_state.unlink(missing_ok=True)
        self._landing_feed.start()
        self._health_watch.start()
        self._page.start()

    def stop(self) -> None:
        """End the threads."""
        self._health_watch.stop()
        self._page.stop()
        self._landing_feed.stop()


def _flask(settings: BoardSettings) -> Flask:
    app = Flask("integrations.board", static_url_path="/static")
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.autoescape = True
    mask = settings.board_mask
    app.jinja_env.filters |= {
        "duration": formatting.duration,
        "percent": formatting.percent,
        "spoken": formatting.spoken,
        "when": formatting.when,
        "bars": formatting.bars,
        "ref": actions.reference,
        "state": state_of,
        "phone": lambda value: masking.phone(value, mask=mask) if value else "unknown number",
        "masked": lambda value: masking.text("" if value is None else str(value), mask=mask),
    }
    app.jinja_env.tests |= {"retryable": actions.can_retry, "open_action": actions.can_give_up}
    return app


def _renderer(app: Flask) -> Render:
    def render(name: str, **shown: object) -> str:
        return app.jinja_env.get_template(name).render(**shown)

    return render
