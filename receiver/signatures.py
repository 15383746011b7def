"""Signature schemes: pure functions of headers, raw bytes, secrets and time. They return or raise BadSignature.

Which source uses which scheme, and in which header, belongs to the sources.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

TOLERANCE_SECONDS = 300
"""How far off a signed time may be, either way (the Standard Webhooks libraries' own value)."""

_HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_BASE64_CLAIM = re.compile(r"v1,([A-Za-z0-9+/]{43}=)", re.ASCII)
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_SECRET_PREFIX = "whsec_"  # noqa: S105 - how such secrets begin


class Reason(StrEnum):
    """Why a signature was rejected. For the operator's log and metrics, never for the sender."""

    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG = "wrong"
    EXPIRED = "expired"
    UNUSABLE_SECRET = "unusable_secret"  # noqa: S105 - a reason, not a secret
    NO_ADDRESS = "no_address"


class BadSignature(Exception):
    """No secret of the source signed the request."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def hmac_sha256_hex(secret: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of the body, the secret taken as UTF-8 (or the bytes that the environment had)."""
    return hmac.new(secret.encode("utf-8", "surrogateescape"), body, hashlib.sha256).hexdigest()


def verify_hmac_sha256_hex(
    claimed: str | None, body: bytes, secrets: Iterable[str], prefix: str = ""
) -> None:
    """Return if `claimed` is `prefix` and the hex HMAC-SHA256 of the body under one of the secrets.

    Case does not matter. Raises BadSignature.
    """
    if claimed is None:
        raise BadSignature(Reason.MISSING)
    claimed = claimed.strip()
    digest = claimed[len(prefix) :]
    if claimed[: len(prefix)].lower() != prefix or not _HEX_DIGEST.fullmatch(digest):
        raise BadSignature(Reason.MALFORMED)
    match([hmac_sha256_hex(secret, body).encode() for secret in secrets], [digest.lower().encode()])


def verify_standard_webhook(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: float
) -> None:
    """Return if the `webhook-*` headers sign the body by the Standard Webhooks rules, scheme `v1`.

    Keys of `headers` are lower case; `now` is in Unix seconds. One of the signatures in `webhook-signature`, separated
    by spaces, must match. Raises BadSignature.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    identity, timestamp, signatures = (headers.get(name, "") for name in names)
    if not (identity and timestamp and signatures):
        raise BadSignature(Reason.MISSING)
    claims = [
        digest[1].encode() for claim in signatures.split(" ") if (digest := _BASE64_CLAIM.fullmatch(claim))
    ]
    if not claims or not _UNIX_SECONDS.fullmatch(timestamp):
        raise BadSignature(Reason.MALFORMED)
    keys = [key for secret in secrets if (key := _standard_webhook_key(secret))]
    if not keys:
        raise BadSignature(Reason.UNUSABLE_SECRET)
    signed = b".".join((identity.encode("utf-8", "surrogatepass"), timestamp.encode(), body))
    match([base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys], claims)
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature(Reason.EXPIRED)


def sign_standard_webhook(identity: str, body: bytes, secret: str, now: float) -> dict[str, str]:
    """The `webhook-*` headers of a body by the Standard Webhooks rules. Raises BadSignature for a malformed secret."""
    key = _standard_webhook_key(secret)
    if key is None:
        raise BadSignature(Reason.UNUSABLE_SECRET)
    timestamp = str(int(now))
    signed = b".".join((identity.encode(), timestamp.encode(), body))
    digest = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return {"webhook-id": identity, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{digest}"}


def _standard_webhook_key(secret: str) -> bytes | None:
    """The key of a secret, `whsec_` and base64 with or without padding; None if malformed."""
    text = secret.removeprefix(_SECRET_PREFIX).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def match(expected: Sequence[bytes], claims: Sequence[bytes]) -> None:
    """Return if one of the claims is one of the expected digests. Raises BadSignature."""
    # no early exit: the time taken must not reveal which secret matched
    matches = [hmac.compare_digest(right, claim) for right in expected for claim in claims]
    if not any(matches):
        raise BadSignature(Reason.WRONG)
