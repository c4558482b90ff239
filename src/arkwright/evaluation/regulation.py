"""Where a model may touch anti-discrimination and data protection law: flags from declared facts, nothing learned.

**This is an aid and not legal advice.** The rules read column names, what the user says about columns and use, and the
result of the fairness audit. They know neither the facts of a case nor the law of a place, and a report without flags
is no statement that a use is lawful.

References
----------
As of November 2026. A law changes without a release of this project: the text in force decides.

GDPR, Regulation (EU) 2016/679: Art. 5 *Principles relating to processing of personal data*, (1)(a) lawfulness, fairness
and transparency; Art. 9 *Processing of special categories of personal data*; Art. 10 *Processing of personal data
relating to criminal convictions and offences*; Art. 13 and 14 *Information to be provided* where data were, and were
not, obtained from the person, (2)(f) and (2)(g) on automated decisions; Art. 15 *Right of access*, (1)(h) the same;
Art. 22 *Automated individual decision-making, including profiling*; Art. 35 *Data protection impact assessment*,
(3)(a) evaluation of people on which decisions are based; recital 71 (discriminatory effects of profiling).
CJEU, C-184/20 *OT*, 1 August 2022: data that reveal a special category indirectly fall under Art. 9. C-634/21 *SCHUFA
Holding (Scoring)*, 7 December 2023: a score is a decision where others draw strongly on it. C-203/22 *Dun & Bradstreet
Austria*, 27 February 2025: the logic involved is the procedure and principles actually applied, told intelligibly.

CCPA as amended by the CPRA: Cal. Civ. Code 1798.121 *Consumers' Right to Limit Use and Disclosure of Sensitive Personal
Information*; 1798.140(ae), what that information is. Regulations of the California Privacy Protection Agency, in force
since 1 January 2026, duties for automated decisionmaking technology (ADMT) from 1 January 2027: 11 CCR 7150 *When a
Business Must Conduct a Risk Assessment*, (b)(2) sensitive personal information, (b)(3) ADMT for a significant decision;
7152 *Risk Assessment Requirements*; 7200 *When a Business's Use of ADMT is Subject to the Requirements of This
Article*; 7220 *Pre-use Notice Requirements*; 7221 *Requests to Opt-out of ADMT*; 7222 *Requests to Access ADMT*.
Significant decisions are about financial or lending services, housing, education, employment and healthcare; insurance
is not among them.

ECOA, 15 USC 1691 *Scope of prohibition*. Regulation B: 12 CFR 1002.2(z) *Prohibited basis*; 1002.4(a) *Discrimination*;
1002.6 *Rules concerning evaluation of applications*, (a) use of information, (b)(2) age; 1002.8 *Special purpose credit
programs*; 1002.9 *Notifications*, (a)(2) content, (b)(2) statement of specific reasons. As amended by 91 FR, 22 April
2026 (document 2026-07804), effective 21 July 2026: the Act does not provide for an effects test, neutral criteria fall
under it only as proxies designed or applied with the intention to advantage or disadvantage, and for-profit special
purpose programs may not go by race, color, national origin or sex.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from arkwright.core.errors import Invalid
from arkwright.evaluation.fairness import ColumnFairness, FairnessReport, Status, worst
from arkwright.evaluation.personal_columns import (
    PROHIBITED_BASES,
    SENSITIVE_PERSONAL_INFORMATION,
    SPECIAL_CATEGORIES,
    Semantics,
    recognise,
)

Purpose = Literal["credit", "employment", "housing", "education", "health care", "insurance", "other", "unknown"]
Regulation = Literal["GDPR", "CCPA", "ECOA"]

REGULATIONS: tuple[Regulation, ...] = ("GDPR", "CCPA", "ECOA")
DISCLAIMER = "This is an aid for reviewers and not legal advice; ask counsel before relying on it."

_SIGNIFICANT: frozenset[Purpose] = frozenset({"credit", "employment", "housing", "education", "health care"})
_CONSEQUENTIAL: frozenset[Purpose] = _SIGNIFICANT | {"insurance"}


class RegulatoryFlag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a reviewer should look at.

    ``severity``: ``concern`` for what the declared facts speak for, ``check`` for what depends on facts not declared.
    """

    regulation: Regulation
    article: str
    severity: Literal["concern", "check"]
    title: str
    why: str
    action: str
    columns: tuple[str, ...] = ()


class RegulatoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """The flags, in the order of the regulations asked about.

    ``status``: ``Fail`` if a prohibited basis decides about credit, or the fairness audit of a consequential decision
    failed on a protected attribute; ``Warning`` if there is any other flag; else ``Pass``.
    """

    flags: tuple[RegulatoryFlag, ...]
    status: Status
    purpose: Purpose
    recognised: dict[str, Semantics]
    disclaimer: str = DISCLAIMER


def regulatory_flags(
    *,
    inputs: Sequence[str],
    sensitive: Sequence[str] = (),
    semantics: Mapping[str, Semantics] | None = None,
    purpose: Purpose = "unknown",
    solely_automated: bool | None = None,
    gives_reasons: bool | None = None,
    proxies: Mapping[str, Sequence[str]] | None = None,
    fairness: FairnessReport | None = None,
    regulations: Sequence[Regulation] = REGULATIONS,
) -> RegulatoryReport:
    """Collect what the regulations may ask of this model.

    Parameters
    ----------
    inputs
        Columns the model decides by.
    sensitive
        Columns known about people and not given to the model: held for the audit.
    semantics
        What columns hold, where their names do not say it.
    purpose
        What the model decides about.
    solely_automated
        Whether a decision is taken without a person who can change it; None if not declared.
    gives_reasons
        Whether each adverse decision comes with its principal reasons; None if not declared.
    proxies
        By sensitive column: the inputs that stand in for it (:func:`~arkwright.evaluation.proxies.find_proxies`).
    fairness
        The audit of the same model.

    Raises
    ------
    Invalid
        If a regulation is none of GDPR, CCPA, ECOA.
    """
    unknown = [name for name in regulations if name not in REGULATIONS]
    if unknown:
        raise Invalid(f"there are no rules for {unknown[0]!r}", hint=f"There are for {', '.join(REGULATIONS)}.")
    facts = _Facts(
        used=recognise(inputs, semantics),
        held=recognise([name for name in sensitive if name not in inputs], semantics),
        purpose=purpose,
        solely_automated=solely_automated,
        gives_reasons=gives_reasons,
        proxies={name: tuple(found) for name, found in (proxies or {}).items() if found},
        unfair=_unfair(fairness, "Fail"),
        uncertain=_unfair(fairness, "Warning"),
        semantics=dict(semantics or {}),
    )
    rules = {"GDPR": _gdpr, "CCPA": _ccpa, "ECOA": _ecoa}
    flags = tuple(flag for name in regulations for flag in rules[name](facts))
    return RegulatoryReport(
        flags=flags, status=_status(facts, flags), purpose=purpose, recognised=facts.used | facts.held
    )


def overall_status(fairness: FairnessReport, regulatory: RegulatoryReport) -> Status:
    """Return the graver of the two statuses."""
    return worst([fairness.status, regulatory.status])


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    used: dict[str, Semantics]
    held: dict[str, Semantics]
    purpose: Purpose
    solely_automated: bool | None
    gives_reasons: bool | None
    proxies: dict[str, tuple[str, ...]]
    unfair: tuple[str, ...]
    uncertain: tuple[str, ...]
    semantics: dict[str, Semantics]

    def among(self, kinds: frozenset[str], columns: Mapping[str, Semantics]) -> tuple[str, ...]:
        return tuple(name for name, meaning in columns.items() if meaning in kinds)

    def protected(self, columns: Sequence[str], kinds: frozenset[str]) -> tuple[str, ...]:
        """Those of the audited columns (or pairs of them) that hold one of the kinds."""
        return tuple(name for name in columns if set(recognise(_parts(name), self.semantics).values()) & kinds)


def _gdpr(facts: _Facts) -> list[RegulatoryFlag]:
    flags = []
    if facts.purpose in _CONSEQUENTIAL or facts.purpose == "unknown":
        alone = facts.solely_automated
        if alone is not False:
            flags.append(
                _flag(
                    "GDPR",
                    "Art. 22(1), (3)",
                    facts.purpose in _CONSEQUENTIAL and alone is True,
                    "Solely automated decision with a legal or similarly significant effect",
                    f"The model decides about {_spoken(facts.purpose)} and whether a person can change the outcome is "
                    + ("declared: none can." if alone else "not declared.")
                    + " A score counts as the decision where others draw strongly on it (CJEU C-634/21).",
                    "Establish a ground of Art. 22(2), and let people obtain human intervention, state their view and "
                    "contest the decision; or put a person with real authority in the loop.",
                )
            )
        flags.append(
            _flag(
                "GDPR",
                "Art. 35(3)(a)",
                facts.purpose in _CONSEQUENTIAL,
                "Data protection impact assessment",
                "Evaluating people systematically to decide so about them needs an assessment before it starts.",
                "Carry out the assessment and attach this evaluation to it.",
            )
        )
        if facts.gives_reasons is not True:
            flags.append(
                _flag(
                    "GDPR",
                    "Art. 13(2)(f), 14(2)(g), 15(1)(h)",
                    facts.gives_reasons is False and alone is True,
                    "Meaningful information about the logic involved",
                    "Explanations for the people concerned are "
                    + ("not given." if facts.gives_reasons is False else "not declared.")
                    + " The procedure and principles actually applied are to be told (CJEU C-203/22).",
                    "Give each person the main factors of their decision in plain words.",
                )
            )
    special = facts.among(SPECIAL_CATEGORIES, facts.used)
    if special:
        flags.append(
            _flag(
                "GDPR",
                "Art. 9(1), 22(4)",
                True,
                "Special categories of personal data among the inputs",
                f"The model reads {_listed(special, facts.used)}.",
                "Remove them, or document explicit consent (Art. 9(2)(a)) or another ground of Art. 9(2); for solely "
                "automated decisions only points (a) and (g) do.",
                special,
            )
        )
    held = facts.among(SPECIAL_CATEGORIES, facts.held)
    if held:
        flags.append(
            _flag(
                "GDPR",
                "Art. 9(2)",
                False,
                "Special categories held for the audit",
                f"{_listed(held, facts.held)} is kept to compare groups.",
                "Document the ground for holding it, keep it apart from the model's inputs and delete it when done.",
                held,
            )
        )
    for column, inputs in facts.proxies.items():
        if facts.protected([column], SPECIAL_CATEGORIES):
            flags.append(
                _flag(
                    "GDPR",
                    "Art. 9(1)",
                    False,
                    "Inputs that may reveal a special category",
                    f"{', '.join(inputs)} stand in for {column}; data that reveal such a category indirectly can fall "
                    "under Art. 9 (CJEU C-184/20).",
                    "Ask whether they are needed, and record the answer.",
                    inputs,
                )
            )
    criminal = facts.among(frozenset({"criminal record"}), facts.used | facts.held)
    if criminal:
        flags.append(
            _flag(
                "GDPR",
                "Art. 10",
                True,
                "Data on criminal convictions and offences",
                f"{', '.join(criminal)} may be processed only under official authority or a law that allows it.",
                "Name that law, or remove the columns.",
                criminal,
            )
        )
    if facts.unfair:
        flags.append(
            _flag(
                "GDPR",
                "Art. 5(1)(a), recital 71",
                True,
                "Fairness of processing",
                f"The audit failed for {', '.join(facts.unfair)}.",
                "Correct the disparity or document why it is justified; recital 71 asks to prevent such effects.",
                facts.unfair,
            )
        )
    return flags


def _ccpa(facts: _Facts) -> list[RegulatoryFlag]:
    flags = []
    columns = facts.used | facts.held
    sensitive = facts.among(SENSITIVE_PERSONAL_INFORMATION, columns)
    if sensitive:
        flags.append(
            _flag(
                "CCPA",
                "Cal. Civ. Code 1798.121, 1798.140(ae)",
                bool(facts.among(SENSITIVE_PERSONAL_INFORMATION, facts.used)),
                "Sensitive personal information",
                f"{_listed(sensitive, columns)}.",
                "Give notice, honour the right to limit use, and assess the risk (11 CCR 7150(b)(2)).",
                sensitive,
            )
        )
    if facts.purpose in _SIGNIFICANT or facts.purpose == "unknown":
        concern = facts.purpose in _SIGNIFICANT and facts.solely_automated is True
        if facts.solely_automated is not False:
            flags.append(
                _flag(
                    "CCPA",
                    "11 CCR 7200, 7220-7222",
                    concern,
                    "Automated decisionmaking technology (ADMT)",
                    f"A model that (substantially) replaces a person in a decision about {_spoken(facts.purpose)} "
                    "is ADMT for a significant decision.",
                    "Prepare the pre-use notice, the opt-out (or the appeal that replaces it) and access to "
                    "the logic and outcome.",
                )
            )
            flags.append(
                _flag(
                    "CCPA",
                    "11 CCR 7150(b)(3)",
                    concern,
                    "Risk assessment",
                    "Using ADMT for a significant decision needs a risk assessment first.",
                    "Carry it out and attach this evaluation.",
                )
            )
    if facts.unfair and facts.purpose in _SIGNIFICANT:
        flags.append(
            _flag(
                "CCPA",
                "11 CCR 7152",
                True,
                "Discrimination as a harm to weigh",
                f"The audit failed for {', '.join(facts.unfair)}; a risk assessment weighs discrimination on protected "
                "characteristics.",
                "Record the disparity and the safeguards chosen.",
                facts.unfair,
            )
        )
    return flags


def _ecoa(facts: _Facts) -> list[RegulatoryFlag]:
    if facts.purpose not in ("credit", "unknown"):
        return []
    credit = facts.purpose == "credit"
    given = "" if credit else "If the model decides about credit: "
    flags = []
    bases = tuple(name for name in facts.among(PROHIBITED_BASES, facts.used) if facts.used[name] != "age")
    if bases:
        flags.append(
            _flag(
                "ECOA",
                "15 USC 1691(a); 12 CFR 1002.4(a), 1002.6(b)",
                credit,
                "Prohibited basis among the inputs",
                f"{given}the model reads {_listed(bases, facts.used)}.",
                "Remove them. Narrow exceptions stand in 1002.6(b), and in 1002.8 for special purpose credit (since "
                "21 July 2026 not by race, color, national origin or sex where the creditor is for profit).",
                bases,
            )
        )
    ages = tuple(name for name, meaning in facts.used.items() if meaning == "age")
    if ages:
        flags.append(
            _flag(
                "ECOA",
                "12 CFR 1002.6(b)(2)",
                False,
                "Age among the inputs",
                f"{given}age may be used only in an empirically derived, demonstrably and statistically sound "
                "system that gives applicants of 62 or more no negative value for it.",
                "Show the soundness of the model and the effect of age from 62 on.",
                ages,
            )
        )
    for column, inputs in facts.proxies.items():
        if facts.protected([column], PROHIBITED_BASES):
            flags.append(
                _flag(
                    "ECOA",
                    "12 CFR 1002.4(a)",
                    False,
                    "Inputs that stand in for a prohibited basis",
                    f"{given}{', '.join(inputs)} stand in for {column}. A neutral criterion falls under the Act where "
                    "it is a proxy designed or applied with the intention to advantage or disadvantage.",
                    "Show a business need for each, and that nothing less revealing serves it.",
                    inputs,
                )
            )
    unfair = facts.protected(facts.unfair, PROHIBITED_BASES)
    if unfair:
        flags.append(
            _flag(
                "ECOA",
                "12 CFR 1002.4(a), 1002.6(a)",
                False,
                "Unequal outcomes on a prohibited basis",
                f"{given}the audit failed for {', '.join(unfair)}. By Regulation B as in force since 21 July 2026, "
                "unequal outcomes alone (the effects test) do not discriminate under the ECOA; they may be the trace "
                "of a proxy, and state law and the law of housing may see them otherwise.",
                "Find out where the difference comes from, ask counsel which law applies, and keep the record. A "
                "search for a model that differs less may itself need advice where it looks at the basis.",
                unfair,
            )
        )
    if facts.gives_reasons is not True:
        flags.append(
            _flag(
                "ECOA",
                "12 CFR 1002.9(a)(2), (b)(2)",
                credit and facts.gives_reasons is False,
                "Reasons for adverse action",
                f"{given}a refusal must state its specific principal reasons; that they come with each decision is "
                + ("declared: they do not." if facts.gives_reasons is False else "not declared."),
                "Give the factors that lowered this applicant's score most, in words that fit the factors used.",
            )
        )
    return flags


def _status(facts: _Facts, flags: Sequence[RegulatoryFlag]) -> Status:
    asked = {flag.regulation for flag in flags}
    bases = [name for name in facts.among(PROHIBITED_BASES, facts.used) if facts.used[name] != "age"]
    if "ECOA" in asked and facts.purpose == "credit" and bases:
        return "Fail"
    if (
        flags
        and facts.purpose in _CONSEQUENTIAL
        and facts.protected(facts.unfair, PROHIBITED_BASES | SPECIAL_CATEGORIES)
    ):
        return "Fail"
    return "Warning" if flags else "Pass"


def _unfair(report: FairnessReport | None, status: Status) -> tuple[str, ...]:
    judged: Sequence[ColumnFairness] = () if report is None else [item for item in report.columns if item.judged]
    return tuple(dict.fromkeys(item.column for item in judged if item.status == status))


def _flag(
    regulation: Regulation,
    article: str,
    concern: bool,
    title: str,
    why: str,
    action: str,
    columns: Sequence[str] = (),
) -> RegulatoryFlag:
    return RegulatoryFlag(
        regulation=regulation,
        article=article,
        severity="concern" if concern else "check",
        title=title,
        why=why[0].upper() + why[1:],
        action=action,
        columns=tuple(columns),
    )


def _parts(column: str) -> list[str]:
    return column.split(" & ")


def _listed(names: Sequence[str], meanings: Mapping[str, Semantics]) -> str:
    return ", ".join(name if meanings[name] == name else f"{name} ({meanings[name]})" for name in names)


def _spoken(purpose: Purpose) -> str:
    return "something not declared" if purpose in ("unknown", "other") else purpose
