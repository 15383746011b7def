"""Tickets in Zendesk Support.

    AFTERCALL_TICKETS=zendesk
    AFTERCALL_ZENDESK_URL=https://NAME.zendesk.com
    AFTERCALL_ZENDESK_EMAIL=aftercall@example.com
    AFTERCALL_ZENDESK_TOKEN=…
    AFTERCALL_ZENDESK_GROUPS=billing=123,456

`external_id` is the action's key: it is looked for before a ticket is made, in a list that is never behind. A request
that Zendesk finishes after we gave it up is recognised by its `Idempotency-Key`, which Zendesk keeps for two hours.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import orjson
from pydantic import Field, SecretStr

from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.destinations import CheckResult, Delivery, Limits, check_result
from integrations.errors import DestinationUnavailable, Rejected
from integrations.http import authorization, checked_url
from integrations.optional_parts import WHOLE, Omission, Part
from integrations.rendering import fit, is_address, shorten
from integrations.rest import RestClient
from integrations.ticket.desk import RemoteTicket, TicketDestination
from integrations.ticket.rendering import Ticket, fitted
from integrations.ticket.targets import targets
from integrations.ticket.updating import LastWritten, Update, first, gone, read

SETTING = "AFTERCALL_ZENDESK_TOKEN"
LONGEST_SUBJECT, LONGEST_COMMENT = 150, 60_000
LONGEST_KEY = 255
LONGEST_NAME = 255
TAG = "aftercall"
AUDITS, PAGES = 100, 20


class ZendeskSettings(DestinationSettings):
    """Settings of this destination; each is `AFTERCALL_` and the field's name."""

    zendesk_url: str = Field("", description="Address of Zendesk: https://NAME.zendesk.com.")
    zendesk_email: str = Field(
        "", description="The agent whose API token it is; empty: the token is an OAuth token."
    )
    zendesk_token: SecretStr = Field(SecretStr(""), description="API token or OAuth token of Zendesk.")
    zendesk_groups: str = Field(
        "", description="Group of each queue: billing=123,support=456,789; the one alone is for all others."
    )


def open_destination(settings: IntegrationSettings) -> "Zendesk":
    """The account that the settings name."""
    return Zendesk(settings)


class Zendesk(TicketDestination):
    """An account of Zendesk. Comments are internal: no trigger mails them to the customer.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "zendesk"
    # The smallest plan takes 200 requests a minute, and a ticket takes two to four (Zendesk, "Rate limits").
    limits = Limits(concurrency=2, per_second=0.8)

    optional = (
        Part("address", ("requester", "email"), order=0),
        Part("requester", ("requester", "requester_id", "user", "phone", "name"), order=1),
        Part("group_id", ("group", "group_id"), order=1),
        Part("priority", ("priority",), order=1),
        Part("tags", ("tags",), order=1),
    )

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(ZendeskSettings)
        self._url = checked_url(own_settings.zendesk_url, "AFTERCALL_ZENDESK_URL").rstrip("/")
        self._groups = targets(own_settings.zendesk_groups, "AFTERCALL_ZENDESK_GROUPS")
        if not all(group.isdecimal() for group in self._groups.all()):
            raise DestinationUnavailable(
                "set AFTERCALL_ZENDESK_GROUPS to the numbers of groups: billing=123,support=456"
            )
        remedy = (
            f"set {SETTING} to an API token (and AFTERCALL_ZENDESK_EMAIL to whose it is) or an OAuth token"
        )
        token, email = needed(own_settings.zendesk_token, remedy), own_settings.zendesk_email.strip()
        self._is_oauth = not email
        headers = authorization(token, f"{email}/token" if email else "")
        client = RestClient("Zendesk", settings, self._url, setting=SETTING, headers=headers, words_of=_words)
        super().__init__(client, settings)
        self._replaced: dict[str, str] = {}

    def find(self, delivery: Delivery) -> str | None:
        """The oldest ticket with this `external_id`; deleted ones are not listed."""
        key = _external_id(delivery.action_key)
        answer = self.client.request("GET", "/api/v2/tickets", params={"external_id": key}).json()
        ids = [one["id"] for one in self.client.listed(answer, "tickets") if one.get("external_id") == key]
        return str(min(ids)) if ids else None

    def send(self, delivery: Delivery, external_id: str | None) -> str:
        """Create it, or add the news to that one; NotFound if that one was deleted."""
        if external_id is not None:
            # Should it be gone, Zendesk must not take the next ticket for a repeat of it.
            self._replaced[delivery.action_key] = external_id
        return super().send(delivery, external_id)

    def fields(self, ticket: Ticket) -> Mapping[str, str]:
        """Subject and priority."""
        return {"subject": fit(_text(ticket.title), LONGEST_SUBJECT), "priority": ticket.priority}

    def place(self, ticket: Ticket) -> Mapping[str, str]:
        """The group, if the settings name one for the queue."""
        group = self._groups.of(ticket.queue)
        return {"group_id": group} if group else {}

    def create(self, delivery: Delivery, ticket: Ticket, left_out: Omission) -> str:
        """Make it, for the requester who called."""
        body = self.new(ticket, left_out, self._requester(ticket, left_out))
        seed = orjson.dumps([ticket.external_key, self._replaced.get(ticket.external_key), body["ticket"]])
        headers = {"Idempotency-Key": hashlib.sha256(seed).hexdigest()}
        answer = self.client.request("POST", "/api/v2/tickets", json=body, headers=headers).json()
        return str(self.client.part(answer, "ticket", "id"))

    def new(
        self, ticket: Ticket, left_out: Omission = WHOLE, requester: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The body that makes it; a requester who is not there yet is shown as the user who is made first."""
        fields = left_out.of(self.fields(ticket))
        body: dict[str, Any] = {
            **fields,
            **{name: int(value) for name, value in self.place(ticket).items()},
            **(self._requester(ticket, left_out, is_shown=True) if requester is None else requester),
            "external_id": _external_id(ticket.external_key),
            "tags": [TAG, re.sub(r"\W+", "_", ticket.issue_type.lower())],
            "comment": {"html_body": _html(ticket), "public": False},
            "metadata": {TAG: first(ticket, fields).dumped()},
        }
        return {"ticket": {name: value for name, value in body.items() if name not in left_out}}

    def remote(self, external_id: str) -> RemoteTicket:
        """The ticket and the newest of our notes in its audits."""
        answer = self.client.request("GET", f"/api/v2/tickets/{external_id}").json()
        values = self.client.part(answer, "ticket")
        if values.get("status") == "deleted":
            raise gone("Zendesk", external_id)
        fields = {name: str(values.get(name) or "") for name in ("subject", "priority", "group_id")}
        return RemoteTicket(fields, self._written(external_id), str(values.get("updated_at") or ""))

    def change(self, external_id: str, due: Update, remote: RemoteTicket) -> None:
        """An internal comment and the fields; refused by Zendesk if the ticket changed since it was read."""
        self.client.request("PUT", f"/api/v2/tickets/{external_id}", json=self.changes(due, remote)).json()

    def changes(self, due: Update, remote: RemoteTicket) -> dict[str, Any]:
        """The body that writes an update."""
        comment = {"comment": {"html_body": _html(due.comment), "public": False}} if due.comment else {}
        values = {
            **due.fields,
            **comment,
            "metadata": {TAG: due.written.dumped()},
            "safe_update": True,
            "updated_stamp": remote.version,
        }
        return {"ticket": values}

    def link(self, kind: str, external_id: str) -> str | None:
        """The ticket as an agent sees it."""
        return f"{self._url}/agent/tickets/{external_id}"

    def check(self) -> Iterator[CheckResult]:
        """Who the token is, whether it may write tickets, and whether the groups exist."""
        yield check_result("credentials", self.who)
        yield check_result("may write tickets", self._may_write)
        for group in self._groups.all():
            yield check_result(f"group {group}", self._group, group)

    def who(self) -> str:
        """Whose token it is."""
        user = self.client.part(self.client.request("GET", "/api/v2/users/me").json(), "user")
        if not user.get("id") or user.get("role") not in ("agent", "admin"):
            raise DestinationUnavailable(
                f"the token's user is {user.get('role') or 'nobody'}: it must be an agent or admin. Look at {SETTING}"
            )
        return f"{user.get('name') or user['id']}, {user['role']}"

    def _may_write(self) -> str:
        """What a role of the account's own lets an agent do, and the scopes of an OAuth token."""
        if self._is_oauth:
            answer = self.client.request("GET", "/api/v2/oauth/tokens/current").json()
            scopes = self.client.part(answer, "token", "scopes")
            if not {"write", "tickets:write"} & set(scopes):
                raise Rejected(f"the token has the scopes {', '.join(map(str, scopes))}: it needs write too")
        user = self.client.part(self.client.request("GET", "/api/v2/users/me").json(), "user")
        if user.get("ticket_restriction"):
            raise Rejected(
                f"the user sees only some tickets ({user['ticket_restriction']}): give it access to all, or what it "
                "made is not found again"
            )
        if not user.get("custom_role_id"):
            return "yes"
        answer = self.client.request("GET", f"/api/v2/custom_roles/{user['custom_role_id']}").json()
        role = self.client.part(answer, "custom_role")
        if not (role.get("configuration") or {}).get("ticket_editing"):
            raise Rejected(f"the user's role {role.get('name')} may not edit tickets")
        return f"yes, as {role.get('name')}"

    def _group(self, group: str) -> str:
        return str(
            self.client.part(self.client.request("GET", f"/api/v2/groups/{group}").json(), "group", "name")
        )

    def _written(self, external_id: str) -> LastWritten | None:
        last = None
        for page in range(1, PAGES + 1):
            params = {"per_page": str(AUDITS), "page": str(page)}
            answer = self.client.request("GET", f"/api/v2/tickets/{external_id}/audits", params=params).json()
            for audit in self.client.listed(answer, "audits"):
                stored = ((audit.get("metadata") or {}).get("custom") or {}).get(TAG)
                last = read(stored) or last
            if not answer.get("next_page"):
                break
        return last

    def _requester(self, ticket: Ticket, left_out: Omission, *, is_shown: bool = False) -> dict[str, Any]:
        """Who called: by e-mail, else by phone; without either the token's own user stands in."""
        if "requester" in left_out:
            return {}
        name, address = fit(ticket.customer_name, LONGEST_NAME), ticket.customer_email
        if is_address(address) and "address" not in left_out:
            return {"requester": {"name": name or address, "email": address}}
        if not re.fullmatch(r"\+\d{5,15}", ticket.customer_phone):
            return {}
        known = self._known(ticket.customer_phone)
        user = {
            "name": name or ticket.customer_phone,
            "phone": ticket.customer_phone,
            "external_id": f"aftercall:{ticket.customer_phone}",
            "role": "end-user",
        }
        if known is None and is_shown:
            return {"requester": user}
        return {"requester_id": self._create_user(user) if known is None else known}

    def _known(self, phone: str) -> int | None:
        params = {"query": f'phone:"{phone}"'}
        users = self.client.listed(
            self.client.request("GET", "/api/v2/users/search", params=params).json(), "users"
        )
        ids = [int(one["id"]) for one in users if one.get("id")]
        return min(ids, default=None)

    def _create_user(self, user: Mapping[str, str]) -> int:
        # The external id makes this a look-up too, for as long as the search does not know the new user.
        answer = self.client.request("POST", "/api/v2/users/create_or_update", json={"user": user}).json()
        return int(self.client.part(answer, "user", "id"))


def _external_id(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _text(value: str) -> str:
    """Text without placeholders: Zendesk fills in `{{…}}` and runs `{%…%}` wherever they stand."""
    return value.replace("{", "{\u200b")


def _html(ticket: Ticket) -> str:
    def build(room: int) -> str:
        def lines(text: str) -> str:
            return escape(_text(text)).replace("\n", "<br>")

        def linked(value: str) -> str:
            is_link = value and value == ticket.link
            return f'<a href="{escape(value)}">{lines(value)}</a>' if is_link else lines(value)

        html = "".join(f"<p>{lines(part)}</p>" for part in ticket.summary.split("\n\n"))
        facts = "".join(f"<li><b>{label}:</b> {linked(value)}</li>" for label, value in ticket.facts)
        html += f"<ul>{facts}</ul>"
        transcript = shorten(ticket.transcript, room)
        return html + (f"<h4>Transcript</h4><p>{lines(transcript)}</p>" if transcript else "")

    return fitted(build, LONGEST_COMMENT)


def _words(error: Mapping[str, Any]) -> str:
    kind = error.get("error")
    if isinstance(kind, dict):
        return f"{kind.get('title') or ''}: {kind.get('message') or ''}"
    details = [one["description"] for several in (error.get("details") or {}).values() for one in several]
    return ": ".join(filter(None, [kind, error.get("description"), "; ".join(details)]))
