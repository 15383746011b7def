"""One client for HubSpot's CRM objects: credentials, its errors' words, unique properties, search, associations.

Which objects there are, what they say, and whose a contact is, belongs to the channels' folders.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr

from integrations import phones
from integrations.config import DestinationSettings, IntegrationSettings, needed
from integrations.crm.matching import Candidate
from integrations.errors import DestinationUnavailable, Rejected
from integrations.http import authorization, checked_url
from integrations.rest import Missing, RestClient

SETTING = "AFTERCALL_HUBSPOT_TOKEN"
# Types of association that HubSpot itself defines (its reference "Associations v4, association type ids").
TICKET_TO_CONTACT, NOTE_TO_CONTACT, TASK_TO_CONTACT = 16, 202, 204
# "Migration in progress" (HubSpot, "HTTP error codes").
MOVING = 477
_NUMBERS, _ADDRESSES = ("phone", "mobilephone"), ("email", "hs_additional_emails")


class HubSpotSettings(DestinationSettings):
    """Settings that tickets and CRM share; each is `AFTERCALL_` and the field's name."""

    hubspot_token: SecretStr = Field(
        SecretStr(""), description="Token (pat-…) of the private app for HubSpot tickets and CRM."
    )
    hubspot_api_url: str = Field("https://api.hubapi.com", description="HubSpot's API.")
    hubspot_portal: str = Field("", description="Number of the HubSpot account, for links to its records.")


class HubSpot(RestClient):
    """A portal, as the token of a private app sees it.

    Raises:
        DestinationUnavailable: if there is no token.
    """

    def __init__(self, settings: IntegrationSettings) -> None:
        own_settings = settings.of(HubSpotSettings)
        self._portal = own_settings.hubspot_portal.strip()
        remedy = f"set {SETTING} to the token (pat-…) of a private app of HubSpot"
        self._token = needed(own_settings.hubspot_token, remedy)
        url = checked_url(own_settings.hubspot_api_url, "AFTERCALL_HUBSPOT_API_URL").rstrip("/")
        headers = authorization(self._token)
        super().__init__("HubSpot", settings, url, setting=SETTING, headers=headers, words_of=error_words)

    def kind(self, status: int, headers: Mapping[str, str], message: str) -> Exception:
        """The failure kind of a status that is not 2xx; HubSpot has one of its own while it moves an account."""
        return super().kind(429 if status == MOVING else status, headers, message)

    def get(
        self, kind: str, identity: str, properties: Sequence[str], *, by: str | None = None
    ) -> dict[str, Any] | None:
        """An object by its id or by a unique property; None if there is none. Not a search: never behind.

        Args:
            kind: `tickets`, `contacts`, `notes`, `tasks`, …
            identity: the id, or the unique property's value.
            properties: what to tell of it.
            by: the unique property's name.
        """
        params = {"properties": ",".join(properties)} | ({"idProperty": by} if by else {})
        path = f"/crm/v3/objects/{kind}/{quote(identity, safe='')}"
        try:
            return self.request("GET", path, params=params).json()
        except Missing:
            return None

    def create(
        self, kind: str, properties: Mapping[str, str], contacts: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """A new object, hung on contacts: their ids, and the type of association each."""
        return self.request("POST", f"/crm/v3/objects/{kind}", json=new_object(properties, contacts)).json()

    def update(self, kind: str, identity: str, properties: Mapping[str, str]) -> dict[str, Any]:
        """Change these properties; Missing if there is no such object."""
        path = f"/crm/v3/objects/{kind}/{quote(identity, safe='')}"
        return self.request("PATCH", path, json=changed(properties)).json()

    def search(
        self, kind: str, any_of: Sequence[Mapping[str, str]], properties: Sequence[str], limit: int = 10
    ) -> list[dict[str, Any]]:
        """Objects with all the values of one of the mappings, at most five of them, the oldest first.

        HubSpot's search is some seconds behind what was written, so it recognises no repeat.
        """
        filters = [
            [{"propertyName": name, "operator": "EQ", "value": value} for name, value in one.items()]
            for one in any_of
        ]
        body = {
            "filterGroups": [{"filters": all_of} for all_of in filters],
            "properties": list(properties),
            "sorts": ["createdate"],
            "limit": limit,
            "after": "0",
        }
        results = self.request("POST", f"/crm/v3/objects/{kind}/search", json=body).json().get("results")
        return [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []

    def contacts(self, phone: str, email: str, region: str) -> list[Candidate]:
        """Contacts with the number, by HubSpot's own spelling without country code or as it is, or with the address."""
        any_of = [{name: phone} for name in _NUMBERS if phone]
        if digits := phones.significant(phone, region):
            any_of += [{f"hs_searchable_calculated_{kind}_number": digits} for kind in ("phone", "mobile")]
        any_of += [{"email": email}] if email else []
        answers = self.search("contacts", any_of, [*_NUMBERS, *_ADDRESSES], limit=100)
        return [self._candidate(one) for one in answers]

    def contact(self, identity: str) -> Candidate | None:
        """The contact of this id; None if there is none."""
        answer = self.get("contacts", identity, [*_NUMBERS, *_ADDRESSES])
        return self._candidate(answer) if answer else None

    def associated(self, kind: str, identity: str, to: str) -> list[str]:
        """Ids of the objects of kind `to` that hang on this one."""
        path = f"/crm/v4/objects/{kind}/{quote(identity, safe='')}/associations/{to}"
        results = self.request("GET", path).json().get("results")
        return [str(one["toObjectId"]) for one in results or () if one.get("toObjectId") is not None]

    def associate(self, kind: str, identity: str, to: str, other: str) -> None:
        """Hang two objects on each other, in HubSpot's default way; again changes nothing."""
        path = f"/crm/v4/objects/{kind}/{quote(identity, safe='')}/associations/default/{to}/{quote(other, safe='')}"
        self.request("PUT", path)

    def has_property(self, kind: str, name: str, *, is_unique: bool = False) -> bool:
        """Whether objects of the kind have a property of this name.

        Raises DestinationUnavailable if it must be unique and is not.
        """
        try:
            answer = self.request("GET", f"/crm/v3/properties/{kind}/{name}").json()
        except Missing:
            return False
        if is_unique and answer.get("hasUniqueValue") is not True:
            raise DestinationUnavailable(
                f"HubSpot's {kind} have a property {name} whose values need not be unique, and that cannot be "
                "changed: delete it, and it is made anew"
            )
        return True

    def may_read(self, kind: str) -> str:
        """That objects of the kind may be read, for a check."""
        self.request("GET", f"/crm/v3/objects/{kind}", params={"limit": "1"}).json()
        return "yes"

    def page(self, kind: str, identity: str) -> str | None:
        """An object's page, by the number of its kind; None unless AFTERCALL_HUBSPOT_PORTAL says whose."""
        if not self._portal:
            return None
        return f"https://app.hubspot.com/contacts/{self._portal}/record/{kind}/{identity}"

    def has_scopes(self, needed: Sequence[str]) -> str:
        """That the token has them all, for a check; Rejected, naming them, if some are missing."""
        path = "/oauth/v2/private-apps/get/access-token-info"
        answer = self.request("POST", path, json={"tokenKey": self._token}).json()
        missing = [scope for scope in needed if scope not in (answer.get("scopes") or ())]
        if missing:
            raise Rejected(f"the private app needs the scopes {', '.join(missing)} too")
        return "all there"

    def make_property(
        self, kind: str, name: str, label: str, description: str, *, is_unique: bool = False, group: str = ""
    ) -> None:
        """Make a text property in a group (default: the kind's own); needs the scope `crm.schemas.<kind>.write`."""
        body = {
            "name": name,
            "label": label,
            "description": description,
            "groupName": group or f"{kind.removesuffix('s')}information",
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": is_unique,
            "formField": False,
        }
        self.request("POST", f"/crm/v3/properties/{kind}", json=body)

    def _candidate(self, contact: Mapping[str, Any]) -> Candidate:
        values = self.part(contact, "properties")
        numbers = tuple(str(values[name]) for name in _NUMBERS if values.get(name))
        # HubSpot writes the further addresses of a contact into one text, with semicolons.
        addresses = ";".join(str(values[name]) for name in _ADDRESSES if values.get(name)).split(";")
        identity, created = self.part(contact, "id"), self.part(contact, "createdAt")
        return Candidate(str(identity), str(created), numbers, tuple(filter(None, addresses)))


def error_words(error: Mapping[str, Any]) -> str:
    """What HubSpot says for itself: category, message, the details' messages, and the id its support asks for."""
    details = [str(one["message"]) for one in error.get("errors") or () if one.get("message")]
    message = "; ".join(dict.fromkeys([str(error.get("message") or ""), *details[:3]]))
    if not message:
        return ""
    category, correlation = error.get("category"), error.get("correlationId")
    return (
        f"{f'{category}: ' if category else ''}{message[:400]}"
        f"{f' (correlation id {correlation})' if correlation else ''}"
    )


def new_object(properties: Mapping[str, str], contacts: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The body that makes an object, hung on contacts: their ids, and the type of association each."""
    associations = [
        {
            "to": {"id": contact},
            "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}],
        }
        for contact, type_id in (contacts or {}).items()
    ]
    return {"properties": dict(properties), "associations": associations}


def changed(properties: Mapping[str, str]) -> dict[str, Any]:
    """The body that changes an object."""
    return {"properties": dict(properties)}
