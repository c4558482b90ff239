"""Behaviour tests as pytest tests: every ``*.behaviour.yaml`` file is collected, one test for each of its entries.

::

    pytest models/ --arkwright-model churn-1.2.0/ --arkwright-rows holdout.csv

The model is a bundle folder; the rows are a CSV, Parquet or JSON-lines file with the model's columns. Both options can
stand in the ini file as ``arkwright_model`` and ``arkwright_rows``, relative to it. A file of minimum functionality
tests alone needs no rows. A test without its model, its rows or anything to try fails: a gate that did not run must
not be green.

The file format is described in :mod:`arkwright.evaluation.behaviour_spec`. Nothing of Arkwright but this module is
imported until such a file is found.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from arkwright.contracts import Signature
    from arkwright.core.errors import ArkwrightError
    from arkwright.evaluation import BehaviourResult, BehaviourRunner, BehaviourTest

SUFFIX = ".behaviour.yaml"

_SUBJECT = pytest.StashKey["_Subject"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options."""
    group = parser.getgroup("arkwright", "Arkwright behaviour tests")
    for name, metavar, what in (
        ("model", "BUNDLE_FOLDER", "the bundle folder that *.behaviour.yaml files are run against"),
        ("rows", "FILE", "the CSV, Parquet or JSON-lines file whose rows the behaviour tests change"),
    ):
        group.addoption(f"--arkwright-{name}", metavar=metavar, default=None, help=what)
        parser.addini(f"arkwright_{name}", what)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect behaviour files."""
    if not file_path.name.endswith(SUFFIX):
        return None
    collector: pytest.Collector = BehaviourFile.from_parent(parent, path=file_path)
    return collector


def pytest_configure(config: pytest.Config) -> None:
    """Prepare to load the model when a test first needs it."""
    config.stash[_SUBJECT] = _Subject(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the model's process, if it has one."""
    if _SUBJECT in config.stash:
        config.stash[_SUBJECT].close()


class BehaviourFailed(Exception):
    """A behaviour test that failed, or that had nothing to try."""

    def __init__(self, result: BehaviourResult) -> None:
        super().__init__(result.detail)
        self.result = result


class BehaviourFile(pytest.File):
    """A file of behaviour tests."""

    def collect(self) -> Iterable[pytest.Item]:
        """Yield its tests.

        Raises
        ------
        pytest.Collector.CollectError
            If the file cannot be read; the message names every field.
        """
        from arkwright.core.errors import Invalid  # noqa: PLC0415 - nothing is imported for those without such files
        from arkwright.evaluation import parse_behaviour  # noqa: PLC0415

        try:
            spec = parse_behaviour(self.path.read_text(encoding="utf-8"), source=self.path.name)
        except Invalid as error:
            raise self.CollectError(_problem_text(error)) from None
        except UnicodeDecodeError as error:
            raise self.CollectError(f"{self.path.name} is not UTF-8: {error.reason} at byte {error.start}.") from None
        return [BehaviourItem.from_parent(self, name=test.name, behaviour=test) for test in spec.tests]


class BehaviourItem(pytest.Item):
    """One behaviour test."""

    def __init__(self, *, behaviour: BehaviourTest, **given: Any) -> None:
        super().__init__(**given)
        self.behaviour = behaviour

    def runtest(self) -> None:
        """Run the test, and note its counts for reports such as JUnit's.

        Raises
        ------
        BehaviourFailed
            If it did not pass.
        """
        from arkwright.evaluation import MinimumFunctionality  # noqa: PLC0415

        subject = self.config.stash[_SUBJECT]
        result = subject.runner(with_rows=not isinstance(self.behaviour, MinimumFunctionality)).run(self.behaviour)
        self.user_properties += [
            ("behaviour_type", result.type),
            ("behaviour_rows_tested", result.n_tested),
            ("behaviour_rows_failed", result.n_failed),
            ("behaviour_failure_rate", "" if result.failure_rate is None else f"{result.failure_rate:.6g}"),
        ]
        if result.status != "passed":
            raise BehaviourFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say which rows failed and how, or what was wrong with the input; a traceback only for the unforeseen."""
        from arkwright.core.errors import ArkwrightError  # noqa: PLC0415

        if isinstance(excinfo.value, BehaviourFailed):
            return "\n".join(_result_lines(excinfo.value.result))
        if isinstance(excinfo.value, ArkwrightError):
            return _problem_text(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Say where the test is from."""
        return self.path, None, f"behaviour: {self.name}"


class _Subject:
    """The model under test and the rows: each loaded once, when a test first needs it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._resources = contextlib.ExitStack()
        self._model: Any = None
        self._runners: dict[bool, BehaviourRunner] = {}

    def runner(self, *, with_rows: bool) -> BehaviourRunner:
        """Return what runs the tests."""
        from arkwright.evaluation import BehaviourRunner  # noqa: PLC0415

        if self._model is None:
            self._model = self._load()
        if with_rows not in self._runners:
            columns = self._read(self._model.signature) if with_rows else None
            self._runners[with_rows] = BehaviourRunner(self._model.predict_columns, self._model.signature, columns)
        return self._runners[with_rows]

    def close(self) -> None:
        self._resources.close()

    def _load(self) -> Any:
        """Load the bundle: a predictor, or a process for a model that was not compiled."""
        from arkwright.bundles import load_bundle  # noqa: PLC0415
        from arkwright.bundles.model_process import GeneralScorer  # noqa: PLC0415
        from arkwright.core.errors import Invalid  # noqa: PLC0415

        folder = self._path("model", "the bundle folder to test")
        manifest = folder / "manifest.json"
        if not manifest.is_file():
            raise Invalid(
                f"{folder} is no bundle: it has no manifest.json.",
                code="behaviour.model",
                hint="Give the folder that the model version's bundle was unpacked into.",
            )
        # The digest of what lies there: this finds a broken folder, and does not say who published it.
        digest = f"sha256:{hashlib.sha256(manifest.read_bytes()).hexdigest()}"
        bundle = load_bundle(folder, digest)
        if bundle.compiled is not None:
            return bundle.compiled
        return self._resources.enter_context(GeneralScorer(folder, digest, bundle.signature))

    def _read(self, signature: Signature) -> dict[str, Any]:
        """Read the rows as the model was given its training table."""
        from arkwright.core.errors import Invalid  # noqa: PLC0415
        from arkwright.data import ReadOptions, read_table  # noqa: PLC0415
        from arkwright.features import to_columns  # noqa: PLC0415

        path = self._path("rows", "the file with rows to change")
        if not path.is_file():
            raise Invalid(
                f"There is no file {path}.", code="behaviour.rows", hint="Give a CSV, Parquet or JSON-lines file."
            )
        with path.open("rb") as file:
            table, _ = read_table(file, ReadOptions(filename=path.name))
        return to_columns(table, signature.columns)

    def _path(self, name: str, what: str) -> Path:
        from arkwright.core.errors import Invalid  # noqa: PLC0415

        given = self._config.getoption(f"--arkwright-{name}")
        if given:
            return self._config.invocation_params.dir / str(given)
        in_ini = self._config.getini(f"arkwright_{name}")
        if in_ini:
            return (self._config.inipath.parent if self._config.inipath else self._config.rootpath) / str(in_ini)
        raise Invalid(
            f"No {name} was given to run the behaviour tests with.",
            code=f"behaviour.no_{name}",
            hint=f"Add --arkwright-{name} with {what}, or arkwright_{name} in the ini file.",
        )


def _result_lines(result: BehaviourResult) -> Iterator[str]:
    yield f"{result.type} test {result.name!r}: {result.detail}"
    for failure in result.failures:
        yield f"  {failure.message}"
        yield f"    inputs: {json.dumps(failure.inputs, ensure_ascii=False)}"
    more = result.n_failed - len(result.failures)
    if more > 0:
        yield f"  and {more:,} more row{'s' if more > 1 else ''}"


def _problem_text(error: ArkwrightError) -> str:
    fields = [f"  {each.get('field')}: {each.get('message')}" for each in error.errors]
    return "\n".join([error.detail, *fields, *([error.hint] if error.hint else [])])
