"""Behaviour files as pytest tests: what is collected, what a failure says, and what it costs those without any."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import pyarrow as pa
import pyarrow.parquet as pq  # loaded before any in-process run, which forgets what it imported itself
import pytest
from tests.conftest import small_bundle
from tests.unit.general_bundles import obedient_model, write_pickled

pytest_plugins = ["pytester"]

PASSING = """
tests:
  - name: a shorter tenure raises the score
    type: directional
    column: tenure
    increase_by: -0.5
    expect: increase
    strict: true
  - {name: a plain case, type: minimum_functionality, rows: [{given: {tenure: 1, contract: month}, label: "Yes"}]}
"""
FAILING = """
tests:
  - {name: tenure does not matter, type: invariance, column: tenure, values: [60], tolerance: 0.001}
"""
ROWS = "customer,tenure,contract\nA,10,month\nB,60,year\nC,30,month\n"
# The plugin is loaded by its module, whether or not this installation has its entry point.
LOADED = ("-p", "no:arkwright", "-p", "arkwright.testing.pytest_plugin", "-p", "no:cacheprovider")


@pytest.fixture
def bundle(tmp_path):
    small_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def run(pytester):
    def run(*given, **files):
        for name, text in files.items():
            (pytester.path / f"{name}.behaviour.yaml").write_text(text)
        (pytester.path / "rows.csv").write_text(ROWS)
        return pytester.runpytest_inprocess(*LOADED, *map(str, given))

    return run


def test_each_entry_of_a_behaviour_file_is_a_test(run, bundle):
    found = run("-v", "--arkwright-model", bundle, "--arkwright-rows", "rows.csv", model=PASSING)
    found.assert_outcomes(passed=2)
    found.stdout.fnmatch_lines(["*model.behaviour.yaml::a shorter tenure raises the score PASSED*"])


def test_a_failure_shows_the_rows_and_what_happened_to_them(run, bundle):
    found = run("--arkwright-model", bundle, "--arkwright-rows", "rows.csv", model=FAILING)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(
        [
            "invariance test 'tenure does not matter': 2 of 2 rows failed (100 %; 0 % are allowed).",
            "  row 1: tenure 10 -> 60: the score goes from 0.* to 0.* (it may move by at most 0.001)",
            '    inputs: {"tenure": 10, "contract": "month"}',
        ]
    )
    assert "Traceback" not in found.stdout.str()


def test_the_junit_report_has_the_counts_and_the_failing_rows(run, bundle, pytester):
    options = ("--arkwright-model", bundle, "--arkwright-rows", "rows.csv", "--junitxml=report.xml")
    run(*options, model=FAILING, other=PASSING)
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "report.xml").iter("testcase")}
    failed = cases["tenure does not matter"]
    assert "row 1: tenure 10 -> 60" in failed.find("failure").text
    properties = {each.get("name"): each.get("value") for each in failed.iter("property")}
    assert properties["behaviour_rows_tested"] == "2"
    assert properties["behaviour_failure_rate"] == "1"
    assert cases["a plain case"].find("failure") is None


def test_rows_may_be_parquet_and_the_options_may_stand_in_the_ini_file(pytester, bundle):
    (pytester.path / "model.behaviour.yaml").write_text(PASSING)
    table = pa.table({"tenure": [1.0, 60.0], "contract": ["month", None]})
    pq.write_table(table, pytester.path / "rows.parquet")
    (pytester.path / "pytest.ini").write_text(f"[pytest]\narkwright_model = {bundle}\narkwright_rows = rows.parquet\n")
    pytester.runpytest_inprocess(*LOADED).assert_outcomes(passed=2)


def test_a_model_that_was_not_compiled_is_tested_in_its_own_process(run, tmp_path):
    write_pickled(tmp_path / "general", obedient_model())
    rows = "[{given: {x: 3, order: null}, at_least: 7, at_most: 7}]"
    text = f"tests: [{{name: y = 2 x + 1, type: minimum_functionality, rows: {rows}}}]"
    run("--arkwright-model", tmp_path / "general", model=text).assert_outcomes(passed=1)


def test_a_gate_without_its_model_or_rows_fails_and_says_which_option_to_give(run, bundle):
    found = run(model=PASSING)
    found.assert_outcomes(failed=2)
    found.stdout.fnmatch_lines(["*Add --arkwright-model with the bundle folder to test*"])
    found = run("--arkwright-model", bundle, model=PASSING)
    found.assert_outcomes(failed=1, passed=1)  # rows given inline need no file
    found.stdout.fnmatch_lines(["*Add --arkwright-rows with the file with rows to change*"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--arkwright-model", "nowhere"), "*nowhere is no bundle: it has no manifest.json.*"),
        (("--arkwright-rows", "absent.csv"), "*There is no file *absent.csv.*"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(run, bundle, options, said):
    found = run("--arkwright-model", bundle, "--arkwright-rows", "rows.csv", *options, model=FAILING)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines([said])


def test_a_test_that_found_no_row_to_try_is_not_green(run, bundle):
    text = FAILING.replace("values: [60]", "swap: [7, 8]")
    found = run("--arkwright-model", bundle, "--arkwright-rows", "rows.csv", model=text)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*Nothing was tried, because no row has 7 or 8 in the column 'tenure'.*"])


def test_a_file_that_cannot_be_read_is_an_error_of_collection_that_names_each_field(run, bundle):
    text = FAILING.replace("tolerance: 0.001", "tolerence: 0.05, allowed_failure_rate: 2")
    found = run("--arkwright-model", bundle, model=text)
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*tests?0?.tolerence: is not a field of this kind of test: did you mean 'tolerance'?*"])


def test_a_test_that_does_not_fit_the_model_names_the_field(run, bundle):
    text = FAILING.replace("column: tenure", "column: tenor")
    found = run("--arkwright-model", bundle, "--arkwright-rows", "rows.csv", model=text)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*'tenor' is not a column of this model: did you mean 'tenure'?*"])


def test_the_plugin_imports_nothing_else_until_a_behaviour_file_is_found(tmp_path):
    (tmp_path / "test_one.py").write_text(
        "import sys\n"
        "def test_one():\n"
        "    loaded = [name for name in sys.modules if name.startswith('arkwright')]\n"
        "    assert sorted(loaded) == ['arkwright', 'arkwright.testing', 'arkwright.testing.pytest_plugin']\n"
        "    assert 'numpy' not in sys.modules and 'msgspec' not in sys.modules\n"
    )
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *LOADED, "-p", "no:cov", "-p", "no:hypothesispytest", str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
