"""What columns are taken for, and why."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.data import Profile, ReadOptions, TableReader, profile_table
from arkwright.features import FeatureDecision, infer_feature_types

N_ROWS = 200


def profile_of(name: str, cell: Callable[[int], object], *, n_rows: int = N_ROWS, **options) -> Profile:
    content = f"{name};other\n" + "\n".join(f"{cell(index)};{index % 3}" for index in range(n_rows))
    found = TableReader(io.BytesIO(content.encode()), ReadOptions(**options))
    return profile_table(found.read(), found.columns)


def decide(name: str, cell: Callable[[int], object], **options) -> FeatureDecision:
    return infer_feature_types(profile_of(name, cell, **options), target="other")[0]


def test_the_telco_columns_are_decided_as_a_person_would(telco_csv: Path) -> None:
    with telco_csv.open("rb") as file:
        found = TableReader(file)
        profile = profile_table(found.read(), found.columns)
    decisions = {decision.name: decision for decision in infer_feature_types(profile, target="Churn")}
    assert "Churn" not in decisions
    assert [name for name, decision in decisions.items() if not decision.used] == ["customerID"]
    assert decisions["customerID"].kind == "identifier"
    assert "7,043" in decisions["customerID"].reason
    numeric = {name for name, decision in decisions.items() if decision.kind == "numeric"}
    assert numeric == {"SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges"}
    assert decisions["Contract"].column.kind == "categorical"


@pytest.mark.parametrize(
    ("name", "cell", "kind", "used"),
    [
        ("flag", lambda i: i % 2 == 0, "categorical", True),
        ("seen", lambda i: f"2026-01-{i % 28 + 1:02d}", "time", True),
        ("row", lambda i: i + 1, "identifier", False),
        ("customer_id", lambda i: (i * 7919) % 100_003, "identifier", False),
        ("userId", lambda i: f"u-{i % 150}", "identifier", False),
        ("code", lambda i: f"K{i:05d}", "identifier", False),
        ("price", lambda i: (i * 7919) % 100_003, "numeric", True),
        ("ratio", lambda i: i / 7, "numeric", True),
        ("rooms", lambda i: i % 5, "numeric", True),
        ("paid", lambda i: "x" if i % 3 else "y", "categorical", True),
        ("postcode", lambda i: f"{i % 90:05d}", "categorical", True),
        ("site", lambda _: "Oslo", "constant", False),
        ("nothing", lambda _: "", "all_missing", False),
        ("note", lambda i: f"this is what customer {i} wrote to us", "text", False),
        ("risk", lambda i: ["low", "High", "medium"][i % 3], "ordinal", True),
        ("valid", lambda i: ["good", "paid", "bad"][i % 3], "categorical", True),
    ],
)
def test_a_column_is_decided_by_what_it_holds(name, cell, kind, used) -> None:
    decision = decide(name, cell)
    assert (decision.kind, decision.used) == (kind, used)
    assert decision.reason
    assert not decision.overridden


def test_a_scale_keeps_its_order() -> None:
    decision = decide("risk", lambda i: ["low", "High", "medium"][i % 3])
    assert decision.levels == ("low", "medium", "High")
    assert decision.column.kind == "categorical"


def test_few_rows_do_not_make_an_identifier() -> None:
    assert decide("city", lambda i: f"town{i}", n_rows=10).kind == "categorical"


def test_a_presence_that_varies_is_no_constant() -> None:
    assert decide("promo", lambda i: "yes" if i % 2 else "").kind == "categorical"


def test_an_override_decides_and_is_marked() -> None:
    profile = profile_of("row", lambda i: i + 1)
    (decision,) = infer_feature_types(profile, target="other", overrides={"row": "numeric"})
    assert (decision.kind, decision.used, decision.overridden) == ("numeric", True, True)
    (decision,) = infer_feature_types(profile, target="other", overrides={"row": "categorical"})
    assert decision.column.kind == "categorical"
    (decision,) = infer_feature_types(profile, target="other", overrides={"row": "text"})
    assert not decision.used
    assert "no text encoder" in decision.reason


def test_ignored_columns_are_set_aside() -> None:
    (decision,) = infer_feature_types(profile_of("row", lambda i: i % 3), target="other", ignore=["row"])
    assert (decision.kind, decision.used) == ("ignored", False)
    with pytest.raises(ValueError, match="set aside"):
        _ = decision.column


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"target": "othr"}, "target.missing"),
        ({"overrides": {"rwo": "numeric"}}, "features.unknown_column"),
        ({"ignore": ["rwo"]}, "features.unknown_column"),
        ({"target": "other", "overrides": {"other": "numeric"}}, "features.target_overridden"),
        ({"overrides": {"row": "numbers"}}, "features.kind_unknown"),
        ({"overrides": {"row": "numeric"}}, "features.kind_mismatch"),
        ({"overrides": {"row": "time"}}, "features.kind_mismatch"),
    ],
)
def test_a_request_that_does_not_fit_the_table_is_refused(arguments, code) -> None:
    profile = profile_of("row", lambda i: f"a{i % 4}")
    with pytest.raises(Invalid) as caught:
        infer_feature_types(profile, **arguments)
    assert caught.value.code == code
    assert caught.value.hint


@given(
    st.lists(st.one_of(st.integers(), st.floats(allow_infinity=False), st.text(max_size=5)), min_size=1, max_size=60)
)
def test_every_column_is_decided_with_a_reason(cells: list[object]) -> None:
    content = "\n".join(json.dumps({"c": cell}) for cell in cells).encode()
    found = TableReader(io.BytesIO(content))
    (decision,) = infer_feature_types(profile_table(found.read(), found.columns))
    assert decision.reason
    assert decision.used == (decision.kind in ("numeric", "categorical", "ordinal", "time"))
