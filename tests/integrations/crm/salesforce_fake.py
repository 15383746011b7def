"""Salesforce as far as contacts, leads and tasks go, after its REST API guide: SOQL at once, SOSL some time behind.

SOQL is asked of SQLite, so that a query must be one. What `simple-salesforce` makes of it all is tested too.
"""

import json
import re
import sqlite3
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from tests.integrations.servers import Answer, Request, says

CLIENT, SECRET, TOKEN = "3MVG9.right", "right-secret", "00D-token"
DATA = "/services/data/v62.0"
PERSON = (
    "Id",
    "CreatedDate",
    "FirstName",
    "LastName",
    "Phone",
    "MobilePhone",
    "Email",
    "Calls__c",
    "Vip__c",
    "Called__c",
    "Description",
)
COLUMNS = {
    "Contact": PERSON,
    "Lead": (*PERSON, "Company", "IsConverted", "ConvertedContactId"),
    "Task": (
        "Id", "CreatedDate", "WhoId", "Subject", "Description", "ActivityDate", "Status", "Priority", "TaskSubtype",
        "CallDurationInSeconds", "CallDisposition", "CallObject",
    ),
}  # fmt: skip
PREFIXES = {"Contact": "003", "Lead": "00Q", "Task": "00T"}
REQUIRED = {"Contact": ["LastName"], "Lead": ["LastName", "Company"], "Task": ["Subject"]}
LONGEST = {
    "Subject": 255, "Description": 32_000, "CallObject": 255, "FirstName": 40, "LastName": 80, "Email": 80, "Phone": 40,
}  # fmt: skip
NUMBERS = {"CallDurationInSeconds", "Calls__c"}
BOOLEANS = {"IsConverted", "Vip__c"}


def ours(url: str) -> dict[str, Any]:
    """Settings that lead to the fake."""
    return {
        "crm": "salesforce", "salesforce_url": url, "salesforce_client_id": CLIENT, "salesforce_client_secret": SECRET,
    }  # fmt: skip


def _errors(status: int, code: str, message: str, *fields: str) -> Answer:
    return says(status, [{"message": message, "errorCode": code, "fields": fields}])


def _duplicates(name: str, records: list[dict[str, Any]]) -> Answer:
    matches = [
        {
            "additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0,
            "record": {"attributes": {"type": name, "url": f"{DATA}/sobjects/{name}/{one['Id']}"}, "Id": one["Id"]},
        }
        for one in records
    ]  # fmt: skip
    result = {
        "allowSave": False, "duplicateRule": "Email", "duplicateRuleEntityType": name,
        "errorMessage": "Use one of these records?",
        "matchResults": [{"entityType": name, "errors": [], "matchEngine": "Exact", "matchRecords": matches}],
    }  # fmt: skip
    error = {
        "duplicateResult": result,
        "errorCode": "DUPLICATES_DETECTED",
        "message": "Use one of these records?",
    }
    return says(400, [error])


NOT_FOUND = _errors(404, "NOT_FOUND", "The requested resource does not exist")


@dataclass
class FakeSalesforce:
    database: sqlite3.Connection = field(
        default_factory=lambda: sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    )
    lock: Any = field(default_factory=Lock)
    numbers: Any = field(default_factory=lambda: count(1))
    token: str = TOKEN
    blocks_duplicates: bool = False
    """Whether a rule of the org blocks a person whose address another has."""
    refused_fields: tuple[str, ...] = ()
    """Fields whose values the org takes no more."""
    shortest: dict[str, int] = field(default_factory=dict)
    """Lengths that a rule of the org allows, beside Salesforce's own."""
    indexed: set[str] = field(default_factory=set)
    read_only: set[str] = field(default_factory=set)
    """Objects, or fields as `Task.CallObject`, that the user may not write."""
    is_over_its_limit: bool = False
    allowed_duplicates: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database.row_factory = sqlite3.Row
        for name, columns in COLUMNS.items():
            typed = ", ".join(f"{column} COLLATE NOCASE" for column in columns)
            self.database.execute(f"CREATE TABLE {name} ({typed}, PRIMARY KEY (Id))")

    def __call__(self, request: Request) -> Answer:
        with self.lock:
            if request.path == "/services/oauth2/token":
                return self._log_in(request)
            if request.headers.get("authorization") != f"Bearer {self.token}":
                return _errors(401, "INVALID_SESSION_ID", "Session expired or invalid")
            if self.is_over_its_limit:
                return _errors(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            return self._answer(request)

    def all(self, name: str, where: str = "true") -> list[dict[str, Any]]:
        hits = self.database.execute(f"SELECT * FROM {name} WHERE {where} ORDER BY Id")
        return [
            {
                column: bool(value) if column in BOOLEANS and value is not None else value
                for column, value in dict(row).items()
            }
            for row in hits
        ]

    def person(self, name: str = "Contact", **values: Any) -> str:
        """A contact or lead that people made some time ago."""
        identity = self._insert(name, {"LastName": "Hopper", **values})
        self.indexed.add(identity)
        return identity

    def delete(self, identity: str) -> None:
        for name in COLUMNS:
            self.database.execute(f"DELETE FROM {name} WHERE Id = ?", (identity,))
        self.database.execute("DELETE FROM Task WHERE WhoId = ?", (identity,))

    def write(self, name: str, identity: str, values: dict[str, Any]) -> None:
        settings = ", ".join(f"{column} = ?" for column in values)
        self.database.execute(f"UPDATE {name} SET {settings} WHERE Id = ?", (*values.values(), identity))

    def _log_in(self, request: Request) -> Answer:
        login = request.form()
        if login != {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}:
            return says(400, {"error": "invalid_client", "error_description": "invalid client credentials"})
        return says(
            200,
            {
                "access_token": self.token,
                "instance_url": "https://acme.my.salesforce.com",
                "token_type": "Bearer",
            },
        )

    def _answer(self, request: Request) -> Answer:
        path = urlsplit(request.path).path.removeprefix(DATA)
        if path == "/query/":
            return self._query(request.query()["q"])
        if path == "/search/":
            return self._search(request.query()["q"])
        if match := re.fullmatch(r"/sobjects/(\w+)/describe", path):
            return self._describe(match[1])
        if match := re.fullmatch(r"/sobjects/(\w+)/", path):
            return self._create(match[1], request)
        if match := re.fullmatch(r"/sobjects/(\w+)/(\w+)", path):
            return self._record(match[1], match[2], request)
        return NOT_FOUND

    def _query(self, soql: str) -> Answer:
        # SOQL escapes quotes with a backslash, SQL by doubling them.
        sql = re.sub(r"\\(.)", lambda match: "''" if match[1] == "'" else match[1], soql)
        try:
            rows = [dict(row) for row in self.database.execute(sql)]
        except sqlite3.Error as error:
            return _errors(400, "MALFORMED_QUERY", str(error))
        return says(200, {"totalSize": len(rows), "done": True, "records": rows})

    def _search(self, sosl: str) -> Answer:
        match = re.fullmatch(r"FIND \{(.*)\} IN PHONE FIELDS RETURNING (.*) LIMIT \d+", sosl)
        if match is None or re.search(r"(?<!\\)[()+-]", match[1]):
            return _errors(400, "MALFORMED_SEARCH", "No search term found")
        terms = [re.sub(r"\D", "", one) for one in match[1].split(" OR ")]
        records = []
        for name, fields, where in re.findall(r"(\w+)\(([\w, ]+?)(?: WHERE ([^)]*))?\)", match[2]):
            for row in self.all(name, where or "true"):
                digits = [re.sub(r"\D", "", row[column] or "") for column in ("Phone", "MobilePhone")]
                known = any(term and term in one for term in terms for one in digits)
                if known and row["Id"] in self.indexed:
                    chosen = {column: row[column] for column in fields.split(", ")}
                    records.append({"attributes": {"type": name}, **chosen})
        return says(200, {"searchRecords": records})

    def _describe(self, name: str) -> Answer:
        fields = [{"name": one, "updateable": f"{name}.{one}" not in self.read_only} for one in COLUMNS[name]]
        may = name not in self.read_only
        return says(200, {"name": name, "createable": may, "updateable": may, "fields": fields})

    def _create(self, name: str, request: Request) -> Answer:
        values = request.json()
        missing = [one for one in REQUIRED[name] if not values.get(one)]
        if missing:
            return _errors(400, "REQUIRED_FIELD_MISSING", f"Required fields are missing: {missing}")
        if "sforce-duplicate-rule-header" in request.headers:
            self.allowed_duplicates.append(request.headers["sforce-duplicate-rule-header"])
        if self.blocks_duplicates and values.get("Email"):
            others = [one for one in self.all(name) if one["Email"] == values["Email"]]
            if others:
                return _duplicates(name, others)
        return self._refused(name, values) or says(
            201, {"id": self._insert(name, values), "success": True, "errors": []}
        )

    def _record(self, name: str, identity: str, request: Request) -> Answer:
        rows = self.all(name, f"Id = '{identity}'")
        if not rows:
            return _errors(404, "ENTITY_IS_DELETED", "entity is deleted")
        if request.method == "PATCH":
            values = request.json()
            refused = self._refused(name, values)
            if refused is None:
                self.write(name, identity, values)
            return refused or says(204)
        wanted = request.query()["fields"].split(",")
        unknown = [one for one in wanted if one not in COLUMNS[name]]
        if unknown:
            return _errors(400, "INVALID_FIELD", f"No such column {unknown} on sobject of type {name}")
        return says(200, {"attributes": {"type": name}, **{one: rows[0][one] for one in wanted}})

    def _refused(self, name: str, values: dict[str, Any]) -> Answer | None:
        if wrong := [one for one in values if one not in COLUMNS[name]]:
            return _errors(400, "INVALID_FIELD", f"No such column '{wrong[0]}' on sobject of type {name}")
        longest = LONGEST | self.shortest
        units = {one: len(str(value or "").encode("utf-16-le")) // 2 for one, value in values.items()}
        if wrong := [one for one, most in longest.items() if units.get(one, 0) > most]:
            return _errors(
                400, "STRING_TOO_LONG", f"{wrong[0]}: data value too large (max length=x)", wrong[0]
            )
        if wrong := [one for one in NUMBERS if not isinstance(values.get(one, 0), int)]:
            return _errors(400, "JSON_PARSER_ERROR", f"Cannot deserialize {json.dumps(values[wrong[0]])}")
        if str(values.get("Email") or "").endswith("@invalid.example.com"):
            return _errors(400, "INVALID_EMAIL_ADDRESS", "Email: invalid email address", "Email")
        if wrong := [one for one in self.refused_fields if one in values]:
            code = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
            return _errors(
                400, code, f"bad value for restricted picklist field: {values[wrong[0]]}", wrong[0]
            )
        return None

    def _insert(self, name: str, values: dict[str, Any]) -> str:
        number = next(self.numbers)
        identity = f"{PREFIXES[name]}{number:012d}AAA"
        created = f"2026-11-02T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000+0000"
        whole: dict[str, Any] = {"Id": identity, "CreatedDate": created, **values}
        if name == "Lead":
            whole.setdefault("IsConverted", False)
        places = ", ".join("?" * len(whole))
        self.database.execute(
            f"INSERT INTO {name} ({', '.join(whole)}) VALUES ({places})", tuple(whole.values())
        )
        return identity
