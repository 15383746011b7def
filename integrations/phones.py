"""Phone numbers as a key: one spelling (E.164) for what people and systems write in many.

Numbers of calls are E.164 already, from dbt, which is told of the region by `dialling`. The rest is for the numbers
that other systems hold: national or international, with blanks, brackets, hyphens, `00` for the plus, or an extension.
Whose a number is belongs to `crm`.
"""

import re

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberFormat, ValidationResult

# What is dialled before a country code in most of the world; no national number begins so.
_PREFIX = re.compile(r"^\s*00(?=[1-9])")


def e164(value: str, region: str) -> str:
    """The number in one spelling, without its extension; of what can be no number in full only the digits.

    Args:
        value: in any spelling.
        region: country of numbers that name none, ISO 3166 alpha-2; empty: they stay as they are.
    """
    number = _parsed(value, region)
    if number is not None:
        return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    digits = re.sub(r"\D", "", phonenumbers.normalize_digits_only(value))
    return f"+{digits}" if digits and value.lstrip().startswith("+") else digits


def is_region(text: str) -> bool:
    """Whether it is a country that has phone numbers, as ISO 3166 alpha-2."""
    return text.upper() in phonenumbers.SUPPORTED_REGIONS


def dialling(region: str) -> dict[str, str]:
    """How people of a country write each other's numbers, for dbt's vars of the same names; empty texts for no country.

    A national number is a regular expression for the usual lengths: of mobiles up to 11 digits, of land lines up to 10.
    """
    about = PhoneMetadata.metadata_for_region(region.upper()) if is_region(region) else None
    if about is None:
        return dict.fromkeys(("default_country_code", "default_trunk_prefix", "default_national_number"), "")
    lengths = {
        digits
        for kind, most in ((about.fixed_line, 10), (about.mobile, 11))
        for digits in (kind.possible_length if kind else ())
        if 8 <= digits <= most
    }
    first = "[1-9]" if about.national_prefix else "[0-9]"
    return {
        "default_country_code": str(about.country_code),
        "default_trunk_prefix": about.national_prefix or "",
        "default_national_number": "|".join(f"{first}[0-9]{{{digits - 1}}}" for digits in sorted(lengths)),
    }


def same(one: str, other: str, region: str) -> bool:
    """Whether both reach the same line, whatever the extension; two that are no numbers are never the same."""
    return e164(one, region) == e164(other, region) != ""


def has_extension(value: str, region: str) -> bool:
    """Whether more is to be dialled once the line is up."""
    number = _parsed(value, region)
    return number is not None and bool(number.extension)


def is_valid(value: str, region: str) -> bool:
    """Whether the number is one that its country gives out."""
    number = _parsed(value, region)
    return number is not None and phonenumbers.is_valid_number(number)


def significant(value: str, region: str) -> str:
    """The digits without country code and trunk prefix; of what is no number all of them."""
    number = _parsed(value, region)
    if number is None:
        return e164(value, region).removeprefix("+")
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
    # Parsed again from its one spelling: without the extension.
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
    try:
        number = phonenumbers.parse(_PREFIX.sub("+", value), region.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    whole = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return number if whole else None
