"""Checking signatures over raw bytes, in constant time.

Which header carries which form belongs to the sources.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from standardwebhooks import Webhook


def hmac_sha256_hex(secret: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 of the body, the secret taken as UTF-8."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_hmac_sha256_hex(claimed: str, body: bytes, secrets: Iterable[str]) -> bool:
    """Whether `claimed` is the hex HMAC-SHA256 of the body under any of the secrets. Never raises."""
    given = claimed.strip().lower().encode("utf-8", "surrogateescape")
    # no early end: the time must not tell which secret matched
    matches = [hmac.compare_digest(hmac_sha256_hex(secret, body).encode(), given) for secret in secrets]
    return any(matches)


def is_standard_webhook(headers: Mapping[str, str], body: bytes, secrets: Iterable[str]) -> bool:
    """Whether the `webhook-*` headers sign the body by the Standard Webhooks rules. Never raises.

    Timestamps may be 5 minutes off either way. Keys of `headers` are lower case.
    """
    return any(_verifies(secret, headers, body) for secret in secrets)


def _verifies(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
    except Exception:
        # besides its own error the package raises ValueError, binascii.Error and more on hostile headers
        return False
    return True
