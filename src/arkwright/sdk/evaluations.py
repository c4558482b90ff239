"""Evaluating model versions: whether they may go to production, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arkwright.core.errors import Invalid, NotFound
from arkwright.core.ids import is_id
from arkwright.sdk.jobs import Jobs, OnProgress
from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Accepted, Evaluation, Upload
from arkwright.sdk.upload import Source, open_source


class Evaluations:
    """``client.evaluations``. An evaluation is named by its own id or its job's."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        model: str = "",
        version: int | str = "",
        model_version_id: str = "",
        data: Source | Mapping[str, str] | None = None,
        sensitive: Sequence[str] = (),
        sensitive_bins: Mapping[str, Sequence[float] | int] | None = None,
        profile: str = "full",
        baseline: str = "",
        behaviour: str = "",
        costs: Mapping[str, float] | None = None,
        forecast: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Accepted:
        """Start the evaluation of a version, and return the job.

        Parameters
        ----------
        model, version
            By name or id, and a number, a semantic version, an id or a stage; the newest version if left out.
        data
            Rows with the true outcome: a file, a table in memory, ``{"upload_id": ...}``,
            ``{"dataset_version_id": ...}`` or the id of a dataset version (``dsv_...``). Left out, the rows that were
            kept out of its training.
        sensitive
            Columns of the data to compare groups by; they need not be inputs of the model.
        sensitive_bins
            For a number such as age: rising edges, or how many groups of equal size.
        profile
            ``full``, or ``quick``: fewer rows and resamples.
        baseline
            Id of the version to compare with; left out, the one in production.
        behaviour
            Behaviour tests, as YAML.
        costs
            ``false_positive`` and ``false_negative``, in one unit.
        forecast
            Score the rows as a forecast: ``time`` is the column that says when a row is; ``series`` the one that tells
            series apart, ``season`` and ``horizon`` numbers of steps, ``history`` earlier rows, given as ``data`` is.
        **options
            As ``POST /v1/evaluations`` takes them: ``purpose``, ``favourable``, ``immutable``, ``seed``, ...
        """
        if bool(model) == bool(model_version_id):
            raise Invalid(
                "An evaluation is of one model version.",
                code="sdk.evaluation",
                hint="Give model (and perhaps version), or model_version_id.",
            )
        body: dict[str, Any] = {"model_version_id": model_version_id} if model_version_id else {"model": model}
        body |= {"version": str(version)} if version else {}
        body |= {"sensitive": _plain(sensitive), "profile": profile, "baseline": baseline, "behaviour": behaviour}
        body |= {"sensitive_bins": _plain(sensitive_bins or {})}
        body |= {"costs": _plain(costs)} if costs else {}
        if data is not None:
            body["data"] = self._data(data)
        if forecast is not None:
            body["forecast"] = _plain(forecast)
            history = forecast.get("history") if isinstance(forecast, Mapping) else None
            if history is not None:
                body["forecast"]["history"] = self._data(history)
        accepted: Accepted = self._transport.post("/v1/evaluations", {**body, **options})
        return accepted

    def run(self, *, on_progress: OnProgress | None = None, **wanted: Any) -> Evaluation:
        """Evaluate a version, wait for it, and return what was found in short.

        Parameters
        ----------
        **wanted
            As of :meth:`create`.
        """
        accepted = self.create(**wanted)
        Jobs(self._transport).wait(accepted["job_id"], on_progress=on_progress)
        return self.get(accepted["job_id"])

    def get(self, evaluation: str) -> Evaluation:
        """Return what an evaluation found in short, and the hashes of its files."""
        found: Evaluation = self._transport.get(f"{_path(evaluation)}/summary")
        return found

    def document(self, evaluation: str) -> dict[str, Any]:
        """Return an evaluation's whole document."""
        found: dict[str, Any] = self._transport.get(_path(evaluation))
        return found

    def list(self, model_version_id: str, *, limit: int | None = None) -> Items[Evaluation]:
        """Return the evaluations of a version, newest first."""
        return self._transport.pages("/v1/evaluations", limit=limit, model_version_id=model_version_id)

    def report(self, evaluation: str, target: Path | str) -> int:
        """Save the report, one page of HTML, to a file, and return its size in bytes."""
        return self._transport.download(f"{_path(evaluation)}/report", Path(target))

    def card(self, evaluation: str, target: Path | str) -> int:
        """Save the model card (Markdown) to a file, and return its size in bytes."""
        return self._transport.download(f"{_path(evaluation)}/card", Path(target))

    def signed_card(self, evaluation: str) -> dict[str, Any]:
        """Return the signed card, a DSSE envelope, as ``arkwright card verify`` reads it from a file."""
        found: dict[str, Any] = self._transport.get(f"{_path(evaluation)}/card.json")
        return found

    # What is attested of a version, and how far it is from done

    def attest_tests(self, model: str, version: int | str, scope: str, reports: Sequence[Path | str]) -> dict[str, Any]:
        """File the outcome of tests, and return the attestation.

        Parameters
        ----------
        scope
            ``unit``, ``model`` or ``integration``.
        reports
            Files of JUnit XML, as the test runner wrote them.
        """
        texts = [_text_of(Path(report)) for report in reports]
        return self._attest(model, version, {"tests": {"scope": scope, "junit": texts}})

    def attest_load_test(self, model: str, version: int | str, report: Any) -> dict[str, Any]:
        """File a load test, as :meth:`Deployments.load_test` returns it, and return the attestation.

        Raises
        ------
        Invalid
            If it shows nothing, or another version answered too.
        """
        fields = {name: getattr(report, name) for name in type(report).__struct_fields__}
        return self._attest(model, version, {"load_test": fields})

    def attest_dashboard(self, model: str, version: int | str, url: str, *, title: str = "") -> dict[str, Any]:
        """Name the page on which a version is watched, and return the attestation."""
        return self._attest(model, version, {"dashboard": {"url": url, "title": title}})

    def attest_rollback(self, model: str, version: int | str, procedure: str) -> dict[str, Any]:
        """Say how to go back from a version, or where that is written down, and return the attestation."""
        return self._attest(model, version, {"rollback_procedure": procedure})

    def attestations(self, model: str, version: int | str, *, limit: int | None = None) -> Items[dict[str, Any]]:
        """Return what was attested of a version, newest first."""
        return self._transport.pages(f"{_version_path(model, version)}/attestations", limit=limit)

    def definition_of_done(self, model: str, version: int | str) -> dict[str, Any]:
        """Return the eleven items of a version as they are now, each with its evidence or what to do about it."""
        found: dict[str, Any] = self._transport.get(f"{_version_path(model, version)}/definition-of-done")
        return found

    def kept_rows(self, model: str, version: int | str, *, limit: int = 100) -> Items[dict[str, Any]]:
        """Return rows that were kept out of a version's training, its inputs only."""
        found: Items[dict[str, Any]] = self._transport.get(f"{_version_path(model, version)}/rows", limit=limit)[
            "instances"
        ]
        return found

    def _attest(self, model: str, version: int | str, stated: Mapping[str, Any]) -> dict[str, Any]:
        filed: dict[str, Any] = self._transport.post(f"{_version_path(model, version)}/attestations", stated)
        return filed

    def _data(self, data: Source | Mapping[str, str]) -> dict[str, str]:
        if isinstance(data, Mapping):
            return dict(data)
        if isinstance(data, str) and is_id("dataset_version", data):
            return {"dataset_version_id": data}
        with open_source(data) as (stream, filename):
            uploaded: Upload = self._transport.upload("/v1/uploads", stream, filename)
        return {"upload_id": uploaded["upload_id"]}


def _path(evaluation: str) -> str:
    return f"/v1/evaluations/{segment(evaluation)}"


def _version_path(model: str, version: int | str) -> str:
    return f"/v1/models/{segment(model)}/versions/{segment(str(version))}"


def _text_of(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {str(path)!r} on this machine.", code="file.not_found", hint="Check the path."
        ) from None
    except UnicodeDecodeError:
        raise Invalid(
            f"The file {str(path)!r} is no text in UTF-8.", code="file.encoding", hint="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise Invalid(
            f"{str(path)!r} cannot be read: {error.strerror or error}.",
            code="file.unreadable",
            hint="Name a file that the test runner wrote.",
        ) from None


def _plain(value: Any) -> Any:
    """Return lists and dictionaries for what JSON has no other word for; the platform says what it expects of a value.

    A text stays one: it is no list of its letters.
    """
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    return [_plain(each) for each in value]
