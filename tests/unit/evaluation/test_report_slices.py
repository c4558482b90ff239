"""The report's page on slices: what is weak, what is merely harder, and what somebody declared."""

import msgspec
import pytest

from arkwright.evaluation.declared_slices import DeclaredSlice
from arkwright.evaluation.examine_performance import examine_weak_slices
from arkwright.evaluation.material import Options
from arkwright.evaluation.report_page import render_report
from arkwright.evaluation.summary import summary_of
from tests.unit.evaluation import evaluated
from tests.unit.evaluation.test_declared_slices import SLICES, material
from tests.unit.evaluation.test_slices import calibrated, judged


def page_of(found):
    document = msgspec.structs.replace(evaluated.good(), weak_slices=found)
    return " ".join(render_report(document).split())


def test_a_harder_group_is_shown_apart_from_the_weak_ones_with_what_the_model_expects():
    found = judged(*calibrated(0)[:3])
    page = page_of(found)
    assert "No weak slice found" in page
    assert "Harder groups of rows" in page
    assert "plan = even" in page
    assert "expected by the model" in page
    assert "a perfect model too" in page


def test_a_weak_group_shows_its_excess_its_trivial_model_and_its_skill():
    columns, truth, probability, rng = calibrated(1)
    weak = (columns["t1"] == "c") & (columns["plan"] == "rare")
    truth[weak] = (rng.random(weak.sum()) < 0.3).astype(int)
    found = judged(columns, truth, probability)
    page = page_of(found)
    assert "Weakest groups of rows" in page
    assert "excess (95 % interval)" in page
    assert "trivial model of the group" in page
    document = msgspec.structs.replace(evaluated.good(), weak_slices=found)
    told = [item.text for item in summary_of(document) if item.text.startswith("It works less well")]
    assert "its own scores lead to expect" in told[0]


def test_declared_slices_are_compared_with_the_rest_and_those_without_numbers_say_why():
    found = examine_weak_slices(material(), Options(profile="quick", n_resamples=100, slices=SLICES))
    page = page_of(found)
    assert "Declared slices beside all other rows" in page
    assert "region is north" in page
    assert "Worse" in page
    assert "nowhere (region is west): not computable, because no row is like that." in page
    assert "odd (1 &lt;= region): not computable, because column &#x27;region&#x27; holds no numbers" in page


def test_a_declared_slice_that_is_worse_is_told_in_plain_words():
    found = examine_weak_slices(material(), Options(profile="quick", n_resamples=100, slices=SLICES))
    document = msgspec.structs.replace(evaluated.good(), weak_slices=found)
    told = [item for item in summary_of(document) if "declared slice" in item.text]
    assert len(told) == 1
    assert told[0].text.startswith("In the declared slice 'north' (region is north, 200 rows)")
    assert "/weak_slices/declared/slices/0/difference/value" in told[0].evidence


@pytest.mark.parametrize("name", ["<b>", "a & b"])
def test_the_name_of_a_slice_cannot_break_out_of_the_page(name):
    slices = (DeclaredSlice(name=name, where={"region": "north"}),)
    found = examine_weak_slices(material(), Options(profile="quick", n_resamples=50, slices=slices))
    assert "<b>" not in page_of(found)
