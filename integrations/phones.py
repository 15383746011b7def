"""Phone numbers as a key: one spelling (E.164) for what people and systems write in many.

dbt reads the numbers of calls by the same steps (macro `to_e164`) and the same rules (seed `phone_regions`); the tests
hold both to one answer. The rules of countries belong to `phone_rules`, whose a number is belongs to `crm`.
"""

import re
import unicodedata

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

from integrations.phone_rules import Rules, dropped_zeros, international, rules_of

WITHHELD = frozenset({"266696687", "7378742833", "86282452253", "2562533", "8656696"})
"""ANONYMOUS, RESTRICTED, UNAVAILABLE, BLOCKED and UNKNOWN on a keypad: carriers send them for a withheld number."""

_LONGEST_TEXT = 128
"""Characters; a longer text is no number, whatever stands in it."""
_SCHEME = re.compile(r"[\s\"'=]*(tel|sips?|callto|whatsapp|phone)\s*:\s*/{0,2}")
_CONTEXT = re.compile(r";\s*phone-context=([+][0-9.()-]+)")
_ROUNDED = re.compile(r"([+]?[0-9])[.,]([0-9]{6,})e[+]?([0-9]{1,2})")
_WHOLE = re.compile(r"([+]?[0-9]{7,})[.]0+")
_THOUSANDS = re.compile(r"[+]?[0-9]{1,3}(?:,[0-9]{3}){2,}")
_EXTENSION = re.compile(
    r"(?:(?:extension|extensi\u00f3n|ext|xtn|x|#|~|int|anexo|\u0434\u043e\u0431|poste|durchwahl|w|p)[:.=\s]*|[,;]\s*)"
    r"[0-9]{1,9}\s*(?:#\s*)?$"
)
_SEPARATORS = re.compile(r"[\s().\-/\[\]_~\"'=\u00b7\u2022]")
_SHORT = re.compile(r"[0-9]{3,15}")
_BARE = re.compile(r"[1-9][0-9]{10,14}")


def e164(value: str, region: str) -> str:
    """The number in one spelling, without its extension; a short number's digits; empty for what is no number.

    Args:
        value: in any spelling.
        region: country of numbers that name none, ISO 3166 alpha-2; empty: they stay as they are.
    """
    dialled = _dialled(value)
    if not re.fullmatch(r"[+]?[0-9]+", dialled) or dialled.lstrip("+") in WITHHELD or not dialled.strip("+0"):
        return ""
    for candidate in _candidates(dialled, rules_of(region)):
        number = re.sub(f"^({dropped_zeros()})0", r"\1", candidate)
        if re.fullmatch(international(), number):
            return f"+{number}"
    return dialled if _SHORT.fullmatch(dialled) else ""


def is_region(text: str) -> bool:
    """Whether it is a country that has phone numbers, as ISO 3166 alpha-2."""
    return text.upper() in phonenumbers.SUPPORTED_REGIONS


def same(one: str, other: str, region: str) -> bool:
    """Whether both reach the same line, whatever the extension; two that are no numbers are never the same."""
    return e164(one, region) == e164(other, region) != ""


def has_extension(value: str, region: str) -> bool:
    """Whether more is to be dialled once the line is up."""
    if not e164(value, region).startswith("+"):
        return False
    text = _plain(value)
    return ";ext=" in text.replace(" ", "") or bool(_EXTENSION.search(_number(text)))


def is_valid(value: str, region: str) -> bool:
    """Whether the number is one that its country gives out."""
    number = _parsed(value, region)
    return number is not None and phonenumbers.is_valid_number(number)


def significant(value: str, region: str) -> str:
    """The digits without country code and trunk prefix; of what is no number all of them."""
    number = _parsed(value, region)
    if number is None:
        return e164(value, region)
    return phonenumbers.national_significant_number(number)


def readable(value: str, region: str) -> str:
    """The number in groups, with its country code."""
    number = _parsed(value, region)
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL) if number else value


def spellings(value: str, region: str) -> tuple[str, ...]:
    """The usual ways to write the number, for systems that can only be asked for exact values; E.164 comes first.

    National ones are among them only where the region makes them clear.
    """
    key = e164(value, region)
    number = _parsed(key, region)
    if number is None:
        return (key,) if key else ()
    forms = [key, key[1:], f"00{key[1:]}"]
    for kind in (PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.NATIONAL):
        written = phonenumbers.format_number(number, kind)
        plus, groups = written[: written.startswith("+")], re.findall(r"\d+", written)
        forms += [written, *(plus + between.join(groups) for between in (" ", "-", ".", ""))]
    return tuple(form for form in dict.fromkeys(forms) if same(form, key, region))


def _parsed(value: str, region: str) -> PhoneNumber | None:
    key = e164(value, region)
    try:
        return phonenumbers.parse(key) if key.startswith("+") else None
    except phonenumbers.NumberParseException:
        return None


def _candidates(dialled: str, rules: Rules | None) -> list[str]:
    """What the number can be with its country code, the likeliest first."""
    if dialled.startswith("+"):
        return [dialled[1:]]
    candidates = [dialled[2:]] if re.match(r"00[1-9]", dialled) else []
    if rules is not None:
        if rules.abroad and re.match(f"(?:{rules.abroad})[1-9]", dialled):
            candidates.append(re.sub(f"^(?:{rules.abroad})", "", dialled))
        candidates += _national(dialled, rules)
    return [*candidates, dialled] if _BARE.fullmatch(dialled) else candidates


def _national(dialled: str, rules: Rules) -> list[str]:
    code, short = rules.country_code, _without_trunk(dialled, rules)
    rest = dialled.removeprefix(code) if dialled.startswith(code) else ""

    def is_national(number: str) -> bool:
        return bool(re.fullmatch(rules.national, number))

    def is_usual(number: str) -> bool:
        return bool(re.fullmatch(rules.usual or "[^0-9]", number))

    candidates = []
    if (is_national(rest) and not is_national(dialled)) or (is_usual(rest) and not is_usual(dialled)):
        candidates.append(dialled)
    if is_national(short):
        candidates.append(code + short)
    elif is_national(dialled):
        candidates.append(code + dialled)
    has_zero = dialled.startswith("0") and re.fullmatch("[1-9][0-9]{5,11}", short)
    if short != dialled and (has_zero or is_usual(short)):
        candidates.append(code + short)
    if is_usual(rest):
        candidates.append(dialled)
    if is_usual(dialled):
        candidates.append(code + dialled)
    return candidates


def _without_trunk(dialled: str, rules: Rules) -> str:
    match = re.match(f"(?:{rules.trunk})", dialled) if rules.trunk else None
    if match is None:
        return dialled
    is_rewritten = rules.trunk_rewrite and match[int(rules.trunk_groups)]
    return (match.expand(rules.trunk_rewrite) if is_rewritten else "") + dialled[match.end() :]


def _dialled(value: str) -> str:
    """The digits to dial, with a plus where the text has one; other signs remain where it is no number."""
    if len(value) > _LONGEST_TEXT:
        return ""
    number = _EXTENSION.sub("", _number(_plain(value))).rstrip(" ,;")
    return re.sub(r"^[+]+", "+", _SEPARATORS.sub("", number))


def _plain(text: str) -> str:
    """The text in lower case, with digits and signs of every script as those of ASCII, and nothing invisible."""
    return "".join(map(_plain_character, text)).strip().lower()


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    if character.isspace() or category.startswith("Z"):
        return " "
    if category == "Pd" or character in "\u2212\u30fc":
        return "-"
    return "" if category in {"Cc", "Cf", "Co", "Cs"} or category.startswith("M") else character


def _number(text: str) -> str:
    """The part of the text that is the number: of a URI its user, of a number that went through a float its digits."""
    inside = re.search("<([^<>]*)>", text)
    address = (inside[1] if inside else text).strip()
    scheme = _SCHEME.match(address)
    context = _CONTEXT.search(address)
    if scheme:
        address = address[scheme.end() :].replace("%2b", "+").replace("%20", " ")
    user, at, _ = address.partition("@")
    user = user.partition(";")[0] if at or scheme else user
    user = user.partition(":")[0] if at else user
    if scheme and scheme[1].startswith("sip") and not at and not re.fullmatch("[+]?[0-9]{3,}", user):
        return ""
    if context and not user.startswith("+"):
        user = context[1] + user
    return _of_float(user.strip())


def _of_float(text: str) -> str:
    """The digits of 1.2025550143e10, 12025550143.0 and 12,025,550,143; other text as it is.

    A spreadsheet shows five decimals at most, so a number with fewer than six has lost digits.
    """
    if match := _ROUNDED.fullmatch(text):
        fraction, exponent = match[2].rstrip("0"), int(match[3])
        return match[1] + fraction.ljust(exponent, "0") if len(fraction) <= exponent else text
    if match := _WHOLE.fullmatch(text):
        return match[1]
    return text.replace(",", "") if _THOUSANDS.fullmatch(text) else text
