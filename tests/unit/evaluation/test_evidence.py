"""Whether a number in a sentence can be looked up, and whether one that cannot be is noticed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.evaluation.evidence import Facts, check_numbers, pointer, resolve, sentence
from arkwright.evaluation.model_evaluation import Sentence
from tests.unit.evaluation.evaluated import regression


class Document(msgspec.Struct):
    share: float = 0.7853
    loss: float = -0.25
    n_rows: int = 12_345
    size: int = 2_500_000
    name: str = "age 30 to 45"
    items: tuple[int, ...] = (1, 2, 3)
    flag: bool = True


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("It finds 79 of every 100.", "/share"),
        ("It finds 78.53 %.", "/share"),
        ("The share is 0.785.", "/share"),
        ("12,345 rows.", "/n_rows"),
        ("2.5 MB.", "/size"),
        ("It loses 0.25.", "/loss"),
        ("The difference is -0.25.", "/loss"),
        ("There are 3 items.", "/items"),
        ("Worse where age 30 to 45 is.", "/name"),
    ],
)
def test_a_number_that_its_evidence_shows_is_accepted(text, evidence):
    assert check_numbers(Document(), [Sentence(text=text, evidence=(evidence,))]) == ()


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("It finds 78 of every 100.", "/share"),  # rounded the wrong way
        ("It finds 79 rows.", "/share"),  # a share is no count
        ("The share is -0.785.", "/share"),
        ("12,346 rows.", "/n_rows"),
        ("1 flag.", "/flag"),
        ("Worse where age 46 is.", "/name"),
        ("There are 4 items.", "/items"),
        ("There are 100 of them.", "/items"),
    ],
)
def test_a_number_that_its_evidence_does_not_show_is_named(text, evidence):
    complaints = check_numbers(Document(), [Sentence(text=text, evidence=(evidence,))])
    assert len(complaints) == 1
    assert "is not among the values" in complaints[0]


def test_a_pointer_that_names_nothing_is_named_even_if_no_number_needs_it():
    (complaint,) = check_numbers(Document(), [Sentence(text="All is well.", evidence=("/items/3",))])
    assert "'/items/3' names nothing in this document: there is no '3'" in complaint


@given(st.lists(st.text(max_size=5) | st.integers(0, 3), max_size=4))
def test_what_a_pointer_was_written_for_is_what_it_resolves_to(steps):
    tree = leaf = object()
    for step in reversed(steps):
        tree = {step: tree} if isinstance(step, str) else [None] * step + [tree]
    assert resolve(tree, pointer(*steps)) is leaf


@pytest.mark.parametrize("address", ["a", "/a/-", "/a/01", "/a/1", "/b", "/a/0/x"])
def test_a_pointer_outside_the_document_is_refused(address):
    with pytest.raises(LookupError):
        resolve({"a": [5]}, address)


@given(st.floats(-1e7, 1e7), st.floats(0, 1))
def test_every_number_that_is_quoted_is_found_again(value, share):
    document = Document(share=share, loss=value)
    facts = Facts(document)
    made = [
        sentence("It is {x}.", x=facts.number("loss")),
        sentence("By {x}.", x=facts.size("loss")),
        sentence("Of every 100 it finds {x}.", x=facts.number("share", style="hundred")),
        sentence("That is {x}.", x=facts.number("share", style="percent")),
        sentence("Off by {x}.", x=facts.number("share", style="points")),
    ]
    assert check_numbers(document, made) == ()


def test_a_share_that_is_not_all_is_never_written_as_all():
    assert Facts(Document(share=0.9996)).number("share", style="hundred").text == "99.96"
    assert Facts(Document(share=1.0)).number("share", style="hundred").text == "100"


def test_braces_in_a_name_are_no_part_of_the_template():
    facts = Facts(Document(name="{n_rows} of {0}"))
    assert sentence("It is {name}.", name=facts.words("name")).text == "It is {n_rows} of {0}."


def test_bounds_that_round_to_the_value_are_written_with_a_decimal():
    document = regression()
    value = Facts(document).estimate("performance", "metrics", "r2", style="percent").text
    r2 = document.performance.metrics["r2"]
    assert value == f"{100 * r2.value:.1f} % ({100 * r2.low:.1f} to {100 * r2.high:.1f})"
