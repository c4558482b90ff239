"""Sizes by part, memory and processor time around a call, and which instance a price table recommends."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.evaluation.resources import (
    EXAMPLE_PRICES,
    InstanceType,
    check_resource,
    cpu_use,
    folder_files,
    measure_cpu,
    measure_memory,
    model_size,
    price_table,
    recommend_instance,
    serial_fraction,
)
from tests.conftest import small_bundle

CPU = cpu_use(1.0, 1.0, 1_000)  # a millisecond for each prediction


def test_a_bundle_s_size_is_the_sum_of_its_files_by_part(tmp_path):
    small_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "link").symlink_to(tmp_path / "bundle" / "manifest.json")
    size = model_size(folder_files(tmp_path / "bundle"))
    files = [path for path in (tmp_path / "bundle").iterdir() if not path.is_symlink()]
    assert size.total_bytes == sum(path.stat().st_size for path in files)
    assert {"signature", "encoder", "estimator", "baseline", "manifest"} <= {part.name for part in size.parts}
    assert sum(part.share for part in size.parts) == pytest.approx(1.0)
    assert [part.size_bytes for part in size.parts] == sorted((part.size_bytes for part in size.parts), reverse=True)


def test_no_files_are_no_bytes():
    assert model_size({}).total_bytes == 0
    assert model_size({"empty.txt": 0}).parts[0].share == 0.0


def test_memory_is_what_the_call_held_at_once():
    found = measure_memory(lambda: np.ones(2_000_000).sum())
    assert 16_000_000 <= found.traced_peak_bytes < 17_000_000
    assert found.resident_peak_bytes > found.resident_growth_bytes >= 0


def test_memory_that_the_system_does_not_tell_has_a_reason():
    found = measure_memory(lambda: None, resident_peak=lambda: None)
    assert found.resident_growth_bytes is None
    assert found.reason == "this system does not tell a process's peak memory"


def test_tracing_that_was_on_stays_on():
    import tracemalloc

    tracemalloc.start()
    try:
        assert measure_memory(lambda: bytearray(1_000_000)).traced_peak_bytes >= 1_000_000
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_processor_time_is_for_a_thousand_predictions():
    cpu, wall = iter([10.0, 16.0]), iter([0.0, 2.0])
    found = measure_cpu(lambda: None, 500, repeats=4, cpu_clock=lambda: next(cpu), clock=lambda: next(wall))
    assert (found.seconds_per_thousand, found.cores_busy, found.n_predictions) == (3.0, 3.0, 2_000)


def test_processor_time_of_no_prediction_has_a_reason():
    assert cpu_use(1.0, 1.0, 0).reason == "no prediction was made"
    assert cpu_use(1.0, 1.0, 0).seconds_per_thousand is None


def test_the_cost_of_a_million_predictions_is_the_price_of_the_hours_they_take():
    price = InstanceType(name="one", vcpus=1, memory_gb=1, usd_per_hour=0.36)
    found = recommend_instance([price], cpu=CPU, peak_memory_bytes=1, wanted_per_second=100, utilisation=1.0)
    # A million predictions of a millisecond take 1,000 seconds: 1000 / 3600 of an hour.
    assert found.instance.usd_per_million == pytest.approx(0.36 * 1000 / 3600)
    assert found.instance.usd_per_million_at_load == pytest.approx(10 * 0.36 * 1000 / 3600)  # nine tenths idle


def test_the_cheapest_type_that_holds_the_model_and_the_load_is_recommended():
    found = recommend_instance(EXAMPLE_PRICES, cpu=CPU, peak_memory_bytes=2 * 10**9, wanted_per_second=1_300)
    assert found.instance.name == "example-medium"  # 3 GB do not fit into the small one's 2; 2 * 700 per second suffice
    assert found.options[0].reason == "it has 2 GB of memory and 3.0 GB are needed"
    assert found.memory_needed_bytes == 3 * 10**9
    assert "one answers 1,400 predictions per second and 1,300 are wanted" in found.detail


def test_several_instances_are_taken_only_where_no_single_one_suffices():
    alone = recommend_instance(EXAMPLE_PRICES, cpu=CPU, peak_memory_bytes=10**9, wanted_per_second=5_000)
    assert (alone.instance.name, alone.instance.n_instances) == ("example-xlarge", 1)
    many = recommend_instance(EXAMPLE_PRICES, cpu=CPU, peak_memory_bytes=10**9, wanted_per_second=14_000)
    assert (many.instance.name, many.instance.n_instances) == ("example-medium", 10)
    assert many.instance.usd_per_hour == pytest.approx(0.4)
    assert [each.n_instances for each in many.scaling] == [10, 20, 50, 100]
    assert many.scaling[0].usd_per_month == pytest.approx(0.4 * 730)


def test_nothing_is_recommended_without_a_reason():
    load = {"wanted_per_second": 1.0}
    too_large = recommend_instance(EXAMPLE_PRICES, cpu=CPU, peak_memory_bytes=10**12, **load)
    assert too_large.instance is None
    assert too_large.detail == "No instance type of the table has the 1,500.0 GB of memory that the model needs."
    assert all(option.reason for option in too_large.options)
    unknown = recommend_instance(EXAMPLE_PRICES, cpu=cpu_use(0, 0, 5), peak_memory_bytes=1, **load)
    assert unknown.detail.startswith("The processor time is not known, because the predictions took less time")
    assert recommend_instance((), cpu=CPU, peak_memory_bytes=1, **load).detail == "The price table is empty."
    unmeasured = recommend_instance(EXAMPLE_PRICES, cpu=CPU, peak_memory_bytes=None, **load)
    assert unmeasured.detail == "The peak memory was not measured."


@given(st.floats(1e-3, 1e4), st.floats(0.01, 1e5), st.integers(1, 60 * 10**9), st.floats(0.1, 1.0))
def test_a_recommendation_always_holds_the_model_and_the_load(per_thousand, wanted, memory, utilisation):
    cpu = cpu_use(per_thousand, per_thousand, 1_000)
    found = recommend_instance(
        EXAMPLE_PRICES, cpu=cpu, peak_memory_bytes=memory, wanted_per_second=wanted, utilisation=utilisation
    )
    msgspec.json.encode(found)
    if found.instance is None:
        assert found.memory_needed_bytes > 64 * 10**9
        return
    best = found.instance
    price = next(each for each in EXAMPLE_PRICES if each.name == best.name)
    assert found.memory_needed_bytes <= price.memory_gb * 1e9
    assert best.n_instances * best.predictions_per_second >= wanted * (1 - 1e-6)
    assert best.n_instances == max(1, math.ceil(wanted / best.predictions_per_second - 1e-9))
    for option in found.options:
        if option.fits_memory and option.n_instances == best.n_instances:
            assert best.usd_per_hour <= option.usd_per_hour


@pytest.mark.parametrize(
    "change", [{"wanted_per_second": 0.0}, {"utilisation": 0.0}, {"utilisation": 1.5}, {"memory_headroom": -1.0}]
)
def test_a_load_that_cannot_be_planned_for_is_refused(change):
    with pytest.raises(Invalid, match="cannot be planned for"):
        recommend_instance(EXAMPLE_PRICES, **{"cpu": CPU, "peak_memory_bytes": 1, "wanted_per_second": 1.0, **change})


def test_a_price_table_names_every_field_that_is_wrong():
    good = {"name": "a", "vcpus": 1, "memory_gb": 1, "usd_per_hour": 1}
    with pytest.raises(Invalid) as refused:
        price_table([good, good, {**good, "name": "b", "vcpus": 0}, {"name": "c"}, {**good, "name": "d", "gpu": 1}])
    assert [each["field"] for each in refused.value.errors] == [
        "prices[1].name",
        "prices[2].vcpus",
        "prices[3]",
        "prices[4]",
    ]
    assert "unknown field `gpu`" in refused.value.errors[3]["message"]


def test_the_serial_fraction_is_that_of_karp_and_flatt():
    # The paper's form with f = 0.1: speedup on 8 processors 1 / (0.1 + 0.9 / 8).
    assert serial_fraction(1.0, 8, 1 / (0.1 + 0.9 / 8)).serial_fraction == pytest.approx(0.1)
    assert serial_fraction(100.0, 4, 400.0).serial_fraction == pytest.approx(0.0)
    assert serial_fraction(100.0, 1, 100.0).reason == "scaling needs a measurement with at least two workers"
    assert serial_fraction(100.0, 2, 0.0).serial_fraction is None


def test_a_need_is_acceptable_high_or_excessive():
    verdicts = [check_resource("size", needed, 100.0).verdict for needed in (70.0, 71.0, 100.0, 101.0, None)]
    assert verdicts == ["acceptable", "high", "high", "excessive", "unknown"]
    with pytest.raises(Invalid, match="The limit for size is 0"):
        check_resource("size", 1.0, 0.0)
