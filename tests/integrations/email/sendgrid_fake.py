"""SendGrid as far as sending goes: it takes mails for its key, and puts each into a mailbox by its Message-ID."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.integrations.servers import Request
from tests.integrations.ticket.fakes.judge import Fake, Reply, Route

KEY = "SG.right-key"


def complaint(message: str, field: str = "null") -> dict[str, Any]:
    return {"errors": [{"message": message, "field": field}]}


@dataclass
class Account(Fake):
    specs: Sequence[str] = ("sendgrid/mail-v3.json",)
    paths: str = "/v3/mail/send"
    undescribed: str = "/v3/scopes"
    taken: list[dict[str, Any]] = field(default_factory=list)
    scopes: list[str] = field(default_factory=lambda: ["mail.send", "2fa_required"])

    def is_known(self, request: Request) -> Reply | None:
        if request.headers.get("authorization") == f"Bearer {KEY}":
            return None
        return Reply(401, complaint("The provided authorization grant is invalid, expired, or revoked"))

    def routes(self) -> Sequence[Route]:
        return (
            ("GET", "/v3/scopes", lambda _: Reply(200, {"scopes": self.scopes})),
            ("POST", "/v3/mail/send", self._send),
        )

    def _send(self, request: Request) -> Reply:
        self.taken.append(request.json())
        return Reply(202, headers={"X-Message-Id": f"m{len(self.taken)}"})
