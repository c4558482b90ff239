"""What a column holds about people, from the user's word or from its name, and which laws name that kind.

Sources: GDPR Art. 9(1); Cal. Civ. Code 1798.140(ae); 12 CFR 1002.2(z).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

Semantics = Literal[
    "sex", "race", "ethnicity", "color", "religion", "national origin", "citizenship", "marital status", "age",
    "public assistance", "health", "genetic", "biometric", "sexual orientation", "political opinion",
    "union membership", "criminal record", "precise location", "government id", "none",
]  # fmt: skip

SPECIAL_CATEGORIES = frozenset(
    {
        "race", "ethnicity", "color", "religion", "political opinion", "union membership", "genetic", "biometric",
        "health", "sexual orientation",
    }
)  # fmt: skip
"""GDPR Art. 9(1). Sex, age and marital status are not among them."""

SENSITIVE_PERSONAL_INFORMATION = frozenset(
    {
        "race", "ethnicity", "color", "religion", "citizenship", "union membership", "genetic", "biometric", "health",
        "sexual orientation", "precise location", "government id",
    }
)  # fmt: skip
"""Cal. Civ. Code 1798.140(ae)."""

PROHIBITED_BASES = frozenset(
    {"race", "ethnicity", "color", "religion", "national origin", "sex", "marital status", "age", "public assistance"}
)
"""12 CFR 1002.2(z); ethnicity as part of race and national origin, as Regulation B's monitoring rules (1002.13) ask."""

_NAMES: tuple[tuple[Semantics, str], ...] = (
    ("sexual orientation", "sexual orientation|sex life|lgbtq?"),
    ("sex", "sex|gender"),
    ("race", "race|racial"),
    ("ethnicity", "ethnicity|ethnic|hispanic|latino"),
    ("color", "skin colou?r|skin tone"),
    ("religion", "religion|religious|faith|denomination"),
    ("citizenship", "citizenship|immigration|visa status|foreign worker"),
    ("national origin", "national origin|native country|nationality|country of birth|birth country|birthplace"),
    ("marital status", "marital|married|spouse|civil status|personal status"),
    ("age", "age|dob|date of birth|birth ?date|birth ?year|year of birth|age cat"),
    ("public assistance", "public assistance|welfare|food stamps|snap"),
    ("health", "health|disability|disabled|diagnosis|medical|pregnan(?:t|cy)|icd ?\\d*"),
    ("genetic", "genetic|genome|dna"),
    ("biometric", "biometric|fingerprint|face (?:id|embedding)|iris scan|voice ?print"),
    ("political opinion", "political|party affiliation"),
    ("union membership", "(?:trade |labou?r )?union (?:member(?:ship)?|status)|trade union"),
    ("criminal record", "criminal|convictions?|arrests?|priors(?: count)?|felony|misdemeanou?r"),
    ("criminal record", "juv (?:fel|misd|other) count"),
    ("precise location", "latitude|longitude|lat|lon|lng|gps|geolocation"),
    ("government id", "ssn|social security(?: number)?|passport(?: number)?|drivers? licen[cs]e(?: number)?"),
)  # fmt: skip


_AGE_OF_A_THING = re.compile(
    r"\b(?:account|asset|building|car|company|contract|device|house|housing|loan|machine|policy|product|property|vehicle)"
    r"\b.*\bage\b"
)


def recognise(columns: Sequence[str], declared: Mapping[str, Semantics] | None = None) -> dict[str, Semantics]:
    """Say what sensitive thing each column holds, from the user's word or else from its name.

    Parameters
    ----------
    declared
        By column; ``none`` says that a name misleads.

    Returns
    -------
    dict
        Only the columns that hold something sensitive. A name is a guess: an unusual one goes unnoticed.

    Examples
    --------
    >>> recognise(["native-country", "maritalStatus", "mileage", "sex"], {"sex": "none"})
    {'native-country': 'national origin', 'maritalStatus': 'marital status'}
    """
    found: dict[str, Semantics] = {}
    for column in columns:
        meaning = (declared or {}).get(column) or _by_name(column)
        if meaning is not None and meaning != "none":
            found[column] = meaning
    return found


def _by_name(column: str) -> Semantics | None:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", column)
    words = " ".join(re.split(r"[^a-z0-9]+", spaced.lower())).strip()
    if _AGE_OF_A_THING.search(words):
        return None
    return next((meaning for meaning, pattern in _NAMES if re.search(rf"(?:^| )(?:{pattern})(?:$| )", words)), None)
