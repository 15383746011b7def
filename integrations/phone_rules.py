"""How each country writes its telephone numbers: the rules behind `phones`, and behind dbt's seed `phone_regions`.

The facts are libphonenumber's. The seed holds the same rows, so that dbt needs no Python; after an update of
libphonenumber, write it with `python -m integrations.phone_rules > dbt_project/seeds/phone_regions.csv`. What a number
means for a customer belongs to `crm`; reading one belongs to `phones`.
"""

import csv
import sys
from dataclasses import asdict, dataclass, fields
from functools import cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneMetadata, PhoneNumberFormat, PhoneNumberType

LONGEST = 15
"""Most digits of a number with its country code (ITU-T E.164)."""


@dataclass(frozen=True)
class Rules:
    """One row of the seed. Every pattern is a regular expression that both RE2 and Python's `re` read."""

    region: str
    """ISO 3166 alpha-2 in capitals; the calling code itself where no country has the code."""
    country_code: str
    abroad: str
    """What people dial before a country code; empty: nothing."""
    trunk: str
    """What people dial before a national number; empty: nothing."""
    trunk_rewrite: str
    """What replaces the trunk prefix where its last group matched, with \\1 for that group; empty: nothing."""
    trunk_groups: str
    """How many groups the trunk prefix has."""
    national: str
    """National numbers that the country gives out, without the trunk prefix."""
    usual: str
    """The usual lengths of national numbers, for numbers that are newer than these rules."""
    possible: str
    """The lengths that numbers can have after the country code; empty where another row speaks for the code."""
    drops_zero: str
    """The country code, if people write +49 (0)30 for +49 30; else empty."""


@cache
def rules_of(region: str) -> Rules | None:
    """The rules of a country; None for what is no country with telephone numbers."""
    about = PhoneMetadata.metadata_for_region(region.upper()) if region else None
    return _rules(region.upper(), about) if about is not None else None


@cache
def every_rule() -> tuple[Rules, ...]:
    """The rules of every country, by region; then those of calling codes that no country has."""
    countries = [rules_of(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    codes = sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    shared = [_rules(str(code), PhoneMetadata.metadata_for_nongeo_region(code)) for code in codes]
    return tuple(rules for rules in (*countries, *shared) if rules is not None)


@cache
def international() -> str:
    """Every possible number with its country code and without a plus, as one pattern."""
    codes: dict[str, list[str]] = {}
    for rules in every_rule():
        if rules.possible:
            codes.setdefault(rules.possible, []).append(rules.country_code)
    return "|".join(f"(?:{'|'.join(sorted(each))})(?:{lengths})" for lengths, each in sorted(codes.items()))


@cache
def dropped_zeros() -> str:
    """The country codes after which a 0 in front of the national number counts for nothing, as one pattern."""
    return "|".join(sorted({rules.drops_zero for rules in every_rule() if rules.drops_zero}))


def _rules(region: str, about: PhoneMetadata) -> Rules:
    code = str(about.country_code)
    main = phonenumbers.region_code_for_country_code(about.country_code)
    is_main = main in {region, phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY}
    lengths = [length for length in about.general_desc.possible_length if length + len(code) <= LONGEST]
    return Rules(
        region=region,
        country_code=code,
        abroad=about.international_prefix or "",
        trunk=about.national_prefix_for_parsing or "",
        trunk_rewrite=about.national_prefix_transform_rule or "",
        trunk_groups=str(_groups(about.national_prefix_for_parsing or "")),
        national=about.general_desc.national_number_pattern or "",
        usual=_usual(about),
        possible=_runs(lengths) if is_main else "",
        drops_zero=code if is_main and _drops_zero(region, code) else "",
    )


def _runs(lengths: list[int]) -> str:
    """A pattern of so many digits; lengths that follow each other are one part of the pattern."""
    runs: list[list[int]] = []
    for length in sorted(lengths):
        if runs and runs[-1][-1] == length - 1:
            runs[-1].append(length)
        else:
            runs.append([length])
    return "|".join(f"[0-9]{{{run[0]},{run[-1]}}}" for run in runs)


def _groups(pattern: str) -> int:
    """How many groups of a pattern capture; none of libphonenumber's has an escaped bracket."""
    return pattern.count("(") - pattern.count("(?")


def _usual(about: PhoneMetadata) -> str:
    """Lengths of mobiles up to 11 digits and of land lines up to 10; shorter than 8 would take in short numbers."""
    lengths = {
        digits
        for kind, most in ((about.fixed_line, 10), (about.mobile, 11))
        for digits in (kind.possible_length if kind else ())
        if 8 <= digits <= most
    }
    first = "[1-9]" if about.national_prefix else "[0-9]"
    return "|".join(f"{first}[0-9]{{{digits - 1}}}" for digits in sorted(lengths))


def _drops_zero(region: str, code: str) -> bool:
    """True if libphonenumber leaves out the 0 of +49 (0)30 for land lines and mobiles alike."""
    examples = [
        phonenumbers.example_number_for_type(region, kind)
        for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE)
    ]
    written = {
        phonenumbers.format_number(number, PhoneNumberFormat.E164)
        for number in examples
        if number is not None
    }
    return bool(written) and all(_without_zero(number, code) == number for number in written)


def _without_zero(number: str, code: str) -> str:
    try:
        parsed = phonenumbers.parse(f"+{code}0{number[1 + len(code) :]}")
    except NumberParseException:
        return ""
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


def main() -> None:
    """Write the seed `phone_regions` to standard output."""
    writer = csv.DictWriter(sys.stdout, [field.name for field in fields(Rules)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(rules) for rules in every_rule())


if __name__ == "__main__":
    main()
