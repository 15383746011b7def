"""Parties, notes and tasks in Tryton, by the REST protocol of its `user application`.

    AFTERCALL_CRM=tryton
    AFTERCALL_TRYTON_URL=https://tryton.example.com/crm
    AFTERCALL_TRYTON_KEY=…

The address ends with the database; the key is that of a user application `rest`, approved in the user's preferences.
It needs the modules `party` and `project`. Nothing in Tryton is unique by a key of ours: a note and a task end with a
line that names the action, and that line is looked for before one is made.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from integrations import phones
from integrations.config import IntegrationSettings
from integrations.crm.matching import Candidate
from integrations.crm.records import Crm, RemoteRecord
from integrations.crm.rendering import Record
from integrations.crm.tryton_client import Tryton, TrytonSettings, escaped
from integrations.destinations import CheckResult, Limits, check_result
from integrations.errors import Rejected, TransientError

PARTY = "party.party"
MODELS = {"contact": PARTY, "note": "ir.note", "task": "project.work"}
# A note that changes is made anew.
RIGHTS = {
    "contact": {PARTY: ("create", "write"), "party.contact_mechanism": ("create",)},
    "note": {"ir.note": ("create", "delete")},
    "task": {"project.work": ("create", "write")},
}
# Where the line with the key is.
TEXTS = {"note": "message", "task": "comment"}
NUMBERS = ("phone", "mobile", "other")
LONGEST_TEXT = 30_000
# Fewer digits than this stand in too many numbers in the same order.
FEWEST_DIGITS = 7


# Tryton gives a party its code, and says in its user's language that another took the same one at the moment.
_CODE = re.compile(r"code|kod|kód|cód|cod[iu]|код|šifr|代码|کد|ລະຫັດ", re.IGNORECASE)
ATTEMPTS = 4


class CodeTaken(TransientError):
    """Others took the codes that Tryton wanted to give; a moment later it gives another."""


def open_destination(settings: IntegrationSettings) -> "TrytonCrm":
    """The database that the settings name."""
    return TrytonCrm(settings)


class TrytonCrm(Crm):
    """A database.

    Raises:
        DestinationUnavailable: if a setting is missing or cannot be read.
    """

    name = "tryton"
    # Tryton names no limit; it is the firm's own server, and others work on it.
    limits = Limits(concurrency=2)
    text_fields = frozenset({"message", "name", "comment"})
    client: Tryton

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(TrytonSettings)
        self._company, self._web = own_settings.tryton_company, own_settings.tryton_web_url.rstrip("/")
        super().__init__(Tryton(settings), settings)

    def marked(self, record: Record) -> str | None:
        """The note or task that ends with the key's line; the oldest. Of notes those on parties that it may be on."""
        if record.kind == "contact":
            return None
        text = TEXTS[record.kind]
        mark = _mark(record)
        domain: list[Any] = [[text, "ilike", f"%{escaped(mark)}"]]
        domain += [_on(self._parties(record))] if record.kind == "note" else [["type", "=", "task"]]
        for one in self.client.search(MODELS[record.kind], domain, [text]):
            if str(one.get(text) or "").endswith(mark):
                return str(one["id"])
        return None

    def candidates(self, phone: str, email: str) -> Iterable[Candidate]:
        """Parties with the number, as it is or with anything between its digits, or with the address."""
        digits = phones.significant(phone, self.region)
        values: list[Any] = [["value_compact", "=", phones.e164(phone, self.region)], ["value", "=", phone]]
        if len(digits) >= FEWEST_DIGITS:
            values.append(["value", "ilike", f"%{'%'.join(digits)}%"])
        clauses = [_mechanism([["type", "in", list(NUMBERS)], ["OR", *values]])]
        if email:
            clauses.append(_mechanism([["type", "=", "email"], ["value", "ilike", escaped(email)]]))
        for party in self.client.search(PARTY, ["OR", *clauses], ["create_date", *_MECHANISMS]):
            yield Candidate(
                str(party["id"]),
                _time(party["create_date"]),
                _values(party, *NUMBERS),
                _values(party, "email"),
            )

    def remote(self, kind: str, identity: str) -> RemoteRecord | None:
        """The record; of a party that was replaced the one that stands for it, of one put away none."""
        fields = {"contact": ["name", "active", "replaced_by.id", *_MECHANISMS, *self.own.values()]}.get(
            kind, ["name", "comment"] if kind == "task" else ["message"]
        )
        answer = self.client.get(MODELS[kind], identity, fields)
        if answer is None:
            return None
        if kind != "contact":
            return RemoteRecord(identity, {name: str(answer.get(name) or "") for name in fields})
        if not answer.get("active"):
            return self.remote(kind, str(answer["replaced_by"]["id"])) if answer.get("replaced_by") else None
        numbers, name = _values(answer, *NUMBERS), str(answer.get("name") or "")
        return RemoteRecord(
            identity,
            {
                **{field: str(answer.get(field) or "") for field in self.own.values()},
                # A party of an unknown caller is called by its number, until somebody knows better.
                "name": "" if any(phones.same(name, number, self.region) for number in numbers) else name,
                "phone": numbers[0] if numbers else "",
                "email": next(iter(_values(answer, "email")), ""),
            },
        )

    def texts(self, record: Record) -> dict[str, str]:
        """The text, which ends with the key's line; a task's name."""
        text = record.text(LONGEST_TEXT) + _mark(record)
        if record.kind == "note":
            return {"message": text}
        return {"name": record.values["subject"], "comment": text}

    def new(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> dict[str, Any]:
        """The values; a note's and a task's party is part of them."""
        if record.kind == "contact":
            return self._party(
                record, {"name": phones.readable(record.phone, self.region), **_filled(fields)}
            )
        if record.kind == "note":
            return dict(fields) | ({"resource": f"{PARTY},{contact_id}"} if contact_id else {})
        party = {"party": int(contact_id)} if contact_id else {}
        return {**fields, "type": "task", "company": self._company, **party}

    def changes(self, record: Record, fields: Mapping[str, str]) -> dict[str, Any]:
        """The values that change."""
        return self._party(record, fields) if record.kind == "contact" else dict(fields)

    def create(self, record: Record, fields: Mapping[str, str], contact_id: str | None) -> str:
        """Make it. CodeTaken if others took every code that Tryton wanted to give."""
        body = self.new(record, fields, contact_id)
        for _ in range(ATTEMPTS):
            try:
                return self.client.create(MODELS[record.kind], body)
            except Rejected as error:
                if record.kind != "contact" or not _CODE.search(str(error)):
                    raise
                taken = error
        raise CodeTaken(str(taken))

    def change(self, record: Record, identity: str, fields: Mapping[str, str]) -> str:
        """Write these fields. Tryton lets nobody change a note: it is made anew in the old one's place."""
        values = self.changes(record, fields)
        if record.kind == "note":
            answer = self.client.get(MODELS["note"], identity, ["resource"])
            self.client.delete(MODELS["note"], identity)
            return self.client.create(MODELS["note"], {**values, "resource": (answer or {}).get("resource")})
        self.client.update(MODELS[record.kind], identity, values)
        return identity

    def link(self, kind: str, external_id: str) -> str | None:
        """The record in the web client; None unless AFTERCALL_TRYTON_WEB_URL says where that is."""
        if not self._web or kind not in MODELS:
            return None
        return f"{self._web}/#{self.client.database}/model/{MODELS[kind]}/{external_id}"

    def check(self) -> Iterator[CheckResult]:
        """Whether the key's user may read and write each record, and company and fields exist."""
        for kind, model in MODELS.items():
            yield check_result(f"may read {kind}s", self._may_read, model)
        for kind, needed in RIGHTS.items():
            yield check_result(f"may write {kind}s", self._may_write, needed)
        yield check_result("company", self._company_name)
        for field in self.own.values():
            yield check_result(f"field {field}", self._may_read, PARTY, field)

    def _may_read(self, model: str, field: str = "id") -> str:
        parties = self.client.search(PARTY, [], [field if model == PARTY else "id"], most=1)
        if model != PARTY:
            domain = [_on([str(one["id"]) for one in parties])] if model == MODELS["note"] else []
            self.client.search(model, domain, [field], most=1)
        return "yes"

    def _parties(self, record: Record) -> list[str]:
        known = self.remote("contact", record.contact_id) if record.contact_id else None
        callers = [one.identity for one in self.candidates(record.phone, record.email)]
        return list(dict.fromkeys([*([known.identity] if known else []), *callers]))

    def _may_write(self, needed: Mapping[str, tuple[str, ...]]) -> str:
        answer = self.client.rights(tuple(needed))
        missing = [
            f"{right} {model}"
            for model, rights in needed.items()
            for right in rights
            if not answer[model].get(right)
        ]
        if missing:
            raise Rejected(f"the key's user may not {', '.join(missing)}: put it into a group that may")
        return "yes"

    def _company_name(self) -> str:
        answer = self.client.get("company.company", str(self._company), ["rec_name"])
        if answer is None:
            raise Rejected(
                f"there is no company {self._company}, or not for this user: set AFTERCALL_TRYTON_COMPANY"
            )
        return str(answer.get("rec_name"))

    def _party(self, record: Record, fields: Mapping[str, str]) -> dict[str, Any]:
        """A party's values: number and address are records of their own, own fields have the type they came with."""
        own = {field: record.values.get(name) for name, field in self.own.items() if field in fields}
        values = {name: value for name, value in fields.items() if name not in ("phone", "email")} | own
        # Tryton refuses a phone that its country does not give out.
        kind = "phone" if phones.is_valid(record.phone, self.region) else "other"
        kinds = {"phone": kind, "email": "email"}
        added = [{"type": kinds[name], "value": fields[name]} for name in kinds if fields.get(name)]
        return {**values, "contact_mechanisms": [["create", added]]} if added else values


_MECHANISMS = ("contact_mechanisms.type", "contact_mechanisms.value")


def _mechanism(domain: list[Any]) -> list[Any]:
    return ["contact_mechanisms", "where", domain]


def _on(parties: Iterable[str]) -> list[Any]:
    """Of notes; nobody but an administrator may search them without saying on which records."""
    return ["resource", "in", [f"{PARTY},{party}" for party in parties]]


def _values(party: Mapping[str, Any], *types: str) -> tuple[str, ...]:
    mechanisms = party.get("contact_mechanisms") or ()
    return tuple(str(one.get("value") or "") for one in mechanisms if one.get("type") in types)


def _time(value: Mapping[str, int]) -> str:
    """Tryton's way to write a time, as text that sorts."""
    return "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}".format_map(value)


def _filled(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _mark(record: Record) -> str:
    return f"\n\nReference: {record.key}"
