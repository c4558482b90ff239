"""What a profile says about a table."""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from arkwright.data import ColumnSchema, Profile, ReadOptions, TableReader, profile_table
from arkwright.data.correlation import pairwise_correlation, strongest_correlations
from arkwright.data.sampling import RowSampler


def profile_of(content: str, **options) -> Profile:
    found = TableReader(io.BytesIO(content.encode()), ReadOptions(**options))
    return profile_table(found.read(), found.columns)


def numbers(values: list[float]) -> Profile:
    return profile_of("x,y\n" + "\n".join(f"{value!r},1" for value in values), types={"x": "number"})


def test_the_telco_profile_flags_what_deserves_a_look(telco_csv: Path) -> None:
    with telco_csv.open("rb") as file:
        found = TableReader(file)
        profile = profile_table(found.read(), found.columns)
    assert not profile.sampled
    assert profile.column("customerID").id_like
    charges = profile.column("TotalCharges")
    assert (charges.n_missing, charges.n_unique) == (11, 6530)
    assert charges.numeric is not None
    assert charges.numeric.mean == pytest.approx(2283.30, abs=0.01)
    assert charges.numeric.std == pytest.approx(2266.77, abs=0.01)
    assert [(value.value, value.count) for value in profile.column("Churn").top_values] == [("No", 5174), ("Yes", 1869)]
    assert Profile.from_json(profile.to_json()) == profile


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=50))
def test_moments_agree_with_scipy(values: list[float]) -> None:
    summary = numbers(values).column("x").numeric
    assert summary is not None
    assert summary.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert summary.std == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    assert list(summary.quantiles.values()) == pytest.approx(
        np.quantile(values, [float(key) for key in summary.quantiles]), abs=1e-6
    )
    if np.ptp(values) > 1e-3:
        assert summary.skew == pytest.approx(scipy.stats.skew(values), rel=1e-4, abs=1e-4)


def test_outliers_lie_beyond_the_fences_of_tukey() -> None:
    summary = numbers([*range(1, 12), 100]).column("x").numeric
    assert summary is not None
    assert (summary.n_outliers, summary.outlier_high) == (1, 17.5)


def test_every_threshold_raises_its_flag() -> None:
    rows = ["many,const,near,word,tail,void,key"]
    for index in range(200):
        near = "a" if index else "b"
        many = "1" if index % 3 == 0 else ""
        rows.append(f"{many},k,{near},w{index % 60},{10.0 ** (index // 25)},,row-{index}")
    profile = profile_of("\n".join(rows))
    flags = {column.name: column.flags for column in profile.columns}
    assert flags == {
        "many": ("many_missing",),
        "const": ("constant",),
        "near": ("near_zero_variance",),
        "word": ("high_cardinality",),
        "tail": (),
        "void": ("all_missing",),
        "key": ("high_cardinality", "id_like"),
    }
    assert "extreme_skew" in numbers([0.0] * 100 + [1000.0]).column("x").flags


def test_rising_whole_numbers_look_like_ids_and_ages_do_not() -> None:
    rows = "\n".join(f"{index + 1000},{index % 7}" for index in range(50))
    profile = profile_of("row,age\n" + rows)
    assert (profile.column("row").id_like, profile.column("age").id_like) == (True, False)


@given(
    st.lists(
        st.tuples(*[st.one_of(st.just(float("nan")), st.integers(-50, 50).map(float))] * 3), min_size=3, max_size=40
    )
)
def test_correlations_agree_with_numpy_over_shared_rows(rows: list[tuple[float, ...]]) -> None:
    matrix = np.array(rows)
    found, shared = pairwise_correlation(matrix)
    for a in range(3):
        for b in range(3):
            both = ~np.isnan(matrix[:, a]) & ~np.isnan(matrix[:, b])
            assert shared[a, b] == both.sum()
            x, y = matrix[both, a], matrix[both, b]
            if both.sum() > 1 and np.ptp(x) > 0 and np.ptp(y) > 0:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    assert found[a, b] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)
            else:
                assert np.isnan(found[a, b])


def test_pairs_that_say_the_same_are_flagged() -> None:
    x = np.arange(100.0)
    rng = np.random.default_rng(0)
    pairs, note = strongest_correlations({"x": x, "twin": 5 - x, "loose": x + rng.normal(0, 40, 100)})
    assert [(pair.a, pair.b, pair.flagged) for pair in pairs if pair.flagged] == [("x", "twin", True)]
    assert pairs[0].correlation == pytest.approx(-1)
    assert note == ""
    assert all(abs(pair.correlation) >= 0.5 for pair in pairs)


def test_a_profile_of_a_sample_says_so() -> None:
    table = pa.table({"x": list(range(10))})
    schema = [ColumnSchema(name="x", type="integer", nullable=True, n_missing=500)]
    profile = profile_table(table, schema, n_rows=1000)
    assert profile.sampled
    assert profile.note.startswith("Computed from an even sample of 10 of the 1,000 rows")
    assert profile.column("x").missing_share == 0.5


@given(st.integers(1, 300), st.integers(1, 50), st.integers(1, 40))
def test_a_sample_has_its_size_keeps_the_order_and_ignores_chunks(n_rows: int, limit: int, size: int) -> None:
    table = pa.table({"x": list(range(n_rows))})
    whole, parts = RowSampler(n_rows, limit), RowSampler(n_rows, limit)
    whole.update(table.to_batches()[0])
    for batch in table.to_batches(max_chunksize=size):
        parts.update(batch)
    kept = whole.table().column("x").to_pylist()
    assert kept == parts.table().column("x").to_pylist() == sorted(set(kept))
    assert len(kept) == min(n_rows, limit)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_a_profile_of_any_numbers_is_plain_json(values: list[float]) -> None:
    profile = profile_of("x,y\n" + "\n".join(f"{value!r},{-value / 3!r}" for value in values), types={"x": "number"})
    stored = json.loads(json.dumps(profile.to_json(), allow_nan=False))
    assert Profile.from_json(stored) == profile
