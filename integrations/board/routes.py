"""The pages: now, the numbers of a day, actions, one action, one call. GET reads, POST needs the board's own form."""

import email
import email.policy
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import orjson
from flask import Blueprint, Response, abort, redirect, render_template, request, url_for

from integrations import former_names
from integrations.board import actions, call_detail, masking
from integrations.board.access import LONGEST_NAME, Access, User
from integrations.board.broadcaster import Broadcaster
from integrations.board.config import BoardSettings
from integrations.board.daily_metrics import numbers
from integrations.board.page import PARTS
from integrations.board.published import CopyUnreadable, PublishedCopy
from integrations.config import IntegrationSettings
from integrations.destinations import CHANNELS
from integrations.outbox import STATES, Action, NotPossible, Outbox
from receiver.landing import LandingStore

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""For a rendered mail: its own styles and nothing else, not even our scripts."""
TIMES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
USER_KEY = "aftercall.user"
LONGEST_BODY = 64 << 10
"""So much of a raw body is shown, in bytes: a page has up to 50 of them."""
MOST_TURNS = 1000
NOT_OWN = "This form is not from a page of the board, or the board was restarted. Reload, and try again."
LOG = logging.getLogger("aftercall.board")


def board_pages(
    settings: BoardSettings,
    systems: IntegrationSettings,
    access: Access,
    broadcaster: Broadcaster,
    copy: PublishedCopy,
    landing: LandingStore,
    outbox: Outbox,
) -> Blueprint:
    """Every route of the board but the stream."""
    pages = Blueprint("board", __name__)
    mask = settings.board_mask

    def user() -> User:
        known = request.environ[USER_KEY]
        assert isinstance(known, User)  # noqa: S101 - the server put it there
        return known

    @pages.context_processor
    def shared() -> dict[str, object]:
        return {
            "user": user(),
            "token": access.token(user()),
            "health": broadcaster.html("health"),
            "mask": mask,
        }

    @pages.after_app_request
    def secure(answer: Response) -> Response:
        answer.headers.setdefault("Content-Security-Policy", POLICY)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "same-origin"
        answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if not request.path.startswith("/static/"):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    @pages.app_errorhandler(404)
    def missing(_: Exception) -> tuple[str, int]:
        return _error_page(404, "Not found", "There is no such page, call or action.")

    @pages.app_errorhandler(403)
    def refused(error: Exception) -> tuple[str, int]:
        return _error_page(403, "Not done", getattr(error, "description", ""))

    @pages.app_errorhandler(500)
    def failed(_: Exception) -> tuple[str, int]:
        return _error_page(500, "Something broke", "The error is in the board's log. Calls go on.")

    @pages.app_errorhandler(CopyUnreadable)
    def unreadable(error: Exception) -> tuple[str, int]:
        LOG.error("The published copy cannot be read.", exc_info=error)
        text = "The copy is damaged, or of another version of aftercall. Run a pass to publish it again: aftercall run."
        return _error_page(503, "The published copy cannot be read", text)

    @pages.get("/")
    def now() -> str:
        return render_template("now.html.j2", parts={name: broadcaster.html(name) for name in PARTS})

    @pages.get("/parts")
    def parts() -> Response:
        tag, body = broadcaster.snapshot()
        answer = Response(body, content_type="application/json")
        answer.set_etag(tag)
        return answer.make_conditional(request)  # type: ignore[return-value]

    @pages.get("/numbers")
    def day() -> str:
        try:
            chosen = date.fromisoformat(request.args["day"]) if request.args.get("day") else None
        except ValueError:
            abort(404)
        return render_template(
            "daily_metrics.html.j2", numbers=numbers(copy, settings.zone, chosen), delta=timedelta
        )

    @pages.get("/calls/<source>/<path:call_id>")
    def call(source: str, call_id: str) -> str:
        modelled = call_detail.modelled(copy, source, call_id)
        landed = call_detail.landed(landing, source, call_id, modelled.call)
        call_actions = outbox.actions_of_call(
            source, call_id, modelled.call.get("customer_phone"), actions.ACTIONS_OF_A_CALL
        )
        if landed.is_whole and not (modelled.call or landed.events or call_actions):
            abort(404)
        return render_template(
            "call.html.j2", source=source, call_id=call_id, modelled=modelled, landed=landed, actions=call_actions,
            line=_timeline(landed, call_actions), pretty=_pretty, turns=modelled.turns[:MOST_TURNS],
            more_turns=len(modelled.turns) - MOST_TURNS,
        )  # fmt: skip

    @pages.get("/actions")
    def action_list() -> str:
        wanted = {name: request.args.get(name, "") for name in ("channel", "status", "time")}
        page = request.args.get("page", 0, type=int)
        since = datetime.now(UTC) - TIMES[wanted["time"]] if wanted["time"] in TIMES else None
        wanted["channel"] = former_names.channel(wanted["channel"])
        matching = actions.listed(outbox, wanted["channel"], wanted["status"], since, max(page, 0))
        return render_template(
            "actions.html.j2", actions=matching[: actions.PAGE], more=len(matching) > actions.PAGE, page=page,
            wanted=wanted, channels=CHANNELS, statuses=STATES, times=TIMES,
            stops=[stop for stop in outbox.pauses() if wanted["channel"] in ("", stop.channel)],
        )  # fmt: skip

    def wanted_action(ref: str) -> Action:
        wanted = actions.by_reference(outbox, ref)
        if wanted is None:
            abort(404)
        return wanted

    @pages.get("/actions/<path:ref>")
    def action(ref: str) -> str:
        wanted = wanted_action(ref)
        look = actions.look(outbox, wanted, systems)
        reason = outbox.why_waiting([wanted], systems).get(wanted.action_key)
        return render_template(
            "action.html.j2", action=wanted, refusal=look.refusal, attempts=outbox.attempts(wanted.action_key),
            interventions=outbox.interventions(wanted.action_key), reason=reason, mail=_mail(look),
            record=_record(look),
        )  # fmt: skip

    @pages.get("/mail/<path:ref>")
    def mail(ref: str) -> Response:
        message = _mail(actions.look(outbox, wanted_action(ref), systems))
        body = message.get_body(("html", "plain")) if message else None
        if body is None:
            abort(404)
        html = masking.text(str(body.get_content()), mask=mask)
        kind = "text/html" if body.get_content_type() == "text/html" else "text/plain"
        return Response(
            html, content_type=f"{kind}; charset=utf-8", headers={"Content-Security-Policy": MAIL_POLICY}
        )

    def only_own_forms() -> None:
        headers = {name.lower(): value for name, value in request.headers}
        if not access.is_own(user(), request.form.get("token", ""), headers):
            abort(403, NOT_OWN)

    @pages.post("/resume/<channel>/<destination>")
    def resume(channel: str, destination: str) -> Response:
        only_own_forms()
        outbox.resume(channel, destination)
        return redirect(url_for("board.action_list", channel=channel, status="waiting", done="resume"), 303)  # type: ignore[return-value]

    @pages.post("/operate/<what>/<path:ref>")
    def operate(what: str, ref: str) -> Response:
        if what not in ("retry", "give_up"):
            abort(404)
        only_own_forms()
        who = user()
        name = who.name if who.is_known else " ".join(request.form.get("who", "").split())[:LONGEST_NAME]
        if not name:
            abort(403, "Say who you are: the record of an action names the person.")
        wanted = wanted_action(ref)
        by = name if who.is_known else f"{name} (as typed)"
        try:
            if what == "retry":
                outbox.retry(wanted.action_key, by=by)
            else:
                outbox.give_up(wanted.action_key, by=by)
        except NotPossible as error:
            abort(403, masking.text(str(error), mask=mask))
        return redirect(url_for("board.action", ref=actions.reference(wanted.action_key), done=what), 303)  # type: ignore[return-value]

    pages.add_app_template_filter(lambda value: quote(str(value), safe=""), "path")
    return pages


def _error_page(status: int, title: str, text: str) -> tuple[str, int]:
    return render_template("error.html.j2", title=title, text=text), status


@dataclass(frozen=True)
class Moment:
    """One thing that happened to a call: an event, or what became of an action."""

    at: datetime
    what: str
    action: Action | None = None


def _timeline(landed: call_detail.Landed, call_actions: list[Action]) -> list[Moment]:
    """Everything that happened to a call, in every system, in order."""
    events = [Moment(event.received_at, event.event_type or "event") for event in landed.events]
    done = [Moment(action.sent_at or action.updated_at, action.kind, action) for action in call_actions]
    return sorted([*events, *done], key=lambda moment: moment.at)


def _pretty(payload: bytes) -> str:
    """A body with a field per line, as far as it is shown. A long or deep one stays as it came."""
    cut = payload[:LONGEST_BODY].decode("utf-8", "replace")
    if len(payload) > LONGEST_BODY:
        return f"{cut}\n… and {len(payload) - LONGEST_BODY:,} bytes more: aftercall landing cat --call"
    try:
        lines = orjson.dumps(orjson.loads(payload), option=orjson.OPT_INDENT_2)
    except (orjson.JSONDecodeError, TypeError):  # no JSON, or nested too deeply to be written again
        return cut
    return lines.decode() if len(lines) <= 4 * LONGEST_BODY else cut


def _mail(look: actions.Look) -> email.message.EmailMessage | None:
    if look.rendered is None or look.rendered.media_type != "message/rfc822":
        return None
    message = email.message_from_bytes(look.rendered.body.encode(), policy=email.policy.default)
    return message if isinstance(message, email.message.EmailMessage) else None


def _record(look: actions.Look) -> dict[str, object]:
    """The fields of a ticket, a CRM record or a Slack message."""
    if look.rendered is None or look.rendered.media_type != "application/json":
        return {}
    record = orjson.loads(look.rendered.body)
    return record if isinstance(record, dict) else {}
