"""What Slack's error codes mean for an action and its channel; the codes are those of Slack's reference of its methods.

How a message is posted, and what it says, does not belong here.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from integrations.errors import (
    DestinationUnavailable,
    Forbidden,
    RateLimited,
    Rejected,
    TransientError,
    Unreachable,
)
from integrations.http import retry_after
from integrations.rendering import line

# The token, the app or the workspace: so it is for every message.
WRONG_FOR_ALL = frozenset(
    {
        "access_denied", "account_inactive", "accesslimited", "deprecated_endpoint", "ekm_access_denied",
        "enterprise_is_restricted", "invalid_auth", "invalid_token", "method_deprecated", "missing_scope",
        "no_active_hooks", "no_permission", "no_service", "no_service_id", "no_team", "not_allowed_token_type",
        "not_authed", "org_login_required", "team_access_not_granted", "team_disabled", "token_expired",
        "token_revoked", "two_factor_setup_required",
    }
)  # fmt: skip
# One Slack channel, and a person can mend it while the retries go on.
MENDABLE = frozenset(
    {
        "action_prohibited", "as_user_not_supported", "channel_is_archived", "channel_not_found", "is_archived",
        "not_in_channel", "posting_to_general_channel_denied", "restricted_action",
        "restricted_action_read_only_channel",
    }
)  # fmt: skip
# Slack or the workspace as a whole does not work now, whatever the message.
NOT_NOW = frozenset(
    {
        "fatal_error", "internal_error", "message_limit_exceeded", "request_timeout", "rollup_error",
        "server_error", "service_unavailable", "team_added_to_org", "team_not_found", "temporarily_unavailable",
        "upstream_timeout",
    }
)  # fmt: skip
BUSY = frozenset({"ratelimited", "rate_limited", "too_many_requests"})
_HINTS = {
    "not_in_channel": "invite the bot to the channel",
    "channel_not_found": "make the channel, or invite the bot if it is private",
    "missing_scope": "add the scope to the app and install it again",
}


def slack_error(
    code: str, where: str, *, setting: str, headers: Mapping[str, str] | None = None, needed: str = ""
) -> Exception:
    """The failure kind of a code that Slack gave.

    Args:
        code: `error` of the answer, or the text of an incoming webhook's.
        where: the Slack channel or the method, for the message.
        setting: the setting that holds the credentials.
        headers: of the answer, for `Retry-After`.
        needed: the scope that Slack says is missing.
    """
    code = line(code, 200)
    hint = _HINTS.get(code, "")
    message = f"Slack answered {code or 'nothing'} for {where}" + (f": {hint}" if hint else "")
    after = retry_after((headers or {}).get("Retry-After"), datetime.now(UTC))
    if code in BUSY:
        return RateLimited(message, after)
    if code in NOT_NOW:
        return Unreachable(message, after)
    if code in WRONG_FOR_ALL:
        # It may be the resource that the request names, not the token.
        kind = Forbidden if code == "access_denied" else DestinationUnavailable
        return kind(f"{message}{f' ({line(needed, 100)})' if needed else ''}. Look at {setting}")
    if code in MENDABLE:
        return TransientError(message)
    return Rejected(message)
