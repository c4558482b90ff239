from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkwright.monitoring.traffic import summarise_traffic


def test_no_traffic_has_no_latency() -> None:
    traffic = summarise_traffic([], [], [])
    assert (traffic.n_requests, traffic.n_rows, traffic.latency, traffic.versions) == (0, 0, None, ())


def test_a_request_of_many_rows_counts_once_in_the_percentiles() -> None:
    traffic = summarise_traffic(["big"] * 98 + ["a", "b"], [100.0] * 98 + [1.0, 2.0], [("mv_1", "1.0.0")] * 100)
    assert traffic.latency is not None
    assert (traffic.n_requests, traffic.n_rows, traffic.latency.p50_ms) == (3, 100, 2.0)


def test_versions_are_told_apart() -> None:
    versions = [("mv_1", "1.0.0"), ("mv_1", "1.0.0"), ("mv_2", "1.1.0")]
    traffic = summarise_traffic(["a", "b", "c"], [1.0, 3.0, 50.0], versions)
    assert [(part.semver, part.n_requests, part.latency and part.latency.p50_ms) for part in traffic.versions] == [
        ("1.0.0", 2, 2.0),
        ("1.1.0", 1, 50.0),
    ]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1e6), st.sampled_from(["mv_1", "mv_2"]))))
def test_rows_add_up_and_percentiles_are_in_order(rows: list[tuple[str, float, str]]) -> None:
    traffic = summarise_traffic([r for r, _, _ in rows], [m for _, m, _ in rows], [(v, "1.0.0") for _, _, v in rows])
    assert sum(part.n_rows for part in traffic.versions) == traffic.n_rows == len(rows)
    if traffic.latency is not None:
        assert traffic.latency.p50_ms <= traffic.latency.p95_ms <= traffic.latency.p99_ms
