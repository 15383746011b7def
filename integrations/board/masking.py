"""Masking phone numbers and e-mail addresses in whatever is shown, and phone numbers in groups.

Whether to mask is a setting; where text comes from is not known here.
"""

import re

_TWO_DIGITS = re.compile("2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
"""Calling codes of two digits (ITU-T E.164); 1 and 7 have one, all others three."""
GAP = "···"
_LOCAL = frozenset(".!#$%&'*+/=?^`{|}~-")
"""What the part of an address before the @ may hold beside letters, digits and the underscore."""
_DOMAIN = re.compile(r"([\w-])[\w-]*(?:\.[\w-]+)*(\.[\w-]{2,})")
# with a plus anything of seven digits; without one nine digits, but no date, and no part of an id
_PHONE = re.compile(
    r"\+\d(?:[ ()./-]{0,2}\d){6,16}|(?<![\w.+:-])(?!\d{4}-\d\d-\d\d)\(?\d(?:[ ().-]{0,2}\d){8,14}(?![\w-])"
)


def country(digits: str) -> int:
    """How many digits the calling code takes."""
    return 1 if digits[:1] in ("1", "7") else 2 if _TWO_DIGITS.match(digits) else 3


def phone(number: str, *, mask: bool) -> str:
    """A number in groups, `+49 301 ··· 11` when masked; what is no number is masked as text."""
    digits = re.sub(r"\D", "", number)
    if not 7 <= len(digits) <= 17:
        return text(number, mask=mask)
    plus = "+" if number.strip().startswith("+") else ""
    size = country(digits) if plus else 0
    code, rest = (f"{plus}{digits[:size]} " if size else ""), digits[size:]
    if mask:
        return f"{code}{rest[:3] if len(rest) > 7 else ''} {GAP} {rest[-2:]}".replace("  ", " ").strip()
    groups = [rest[at : at + 3] for at in range(0, len(rest), 3)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return (code + " ".join(groups)).strip()


def text(value: str, *, mask: bool) -> str:
    """A text with every phone number and e-mail address in it masked."""
    if not mask:
        return value
    value = _without_addresses(value) if "@" in value else value
    return _PHONE.sub(lambda match: phone(match[0], mask=True), value)


def _without_addresses(value: str) -> str:
    """Looks at each @ once, and from there to both sides. A pattern would try each letter of a long word as a start."""
    shown, done = [], 0
    at = value.find("@")
    while at >= 0:
        start = at
        while start > done and ((before := value[start - 1]) in _LOCAL or before == "_" or before.isalnum()):
            start -= 1
        domain = _DOMAIN.match(value, at + 1) if start < at else None
        if domain:
            shown += [value[done:start], value[start], GAP, "@", domain[1], GAP, domain[2]]
            done = domain.end()
        at = value.find("@", max(at + 1, done))
    return "".join((*shown, value[done:]))
