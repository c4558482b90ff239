"""The durable evaluation: from a version and rows to a document, a report, a card and the evidence that cites them.

Steps: ``prepare``, one for each section, ``assemble``, ``publish``, ``file``. Each may run twice after a crash and
changes nothing the second time: sections lie under the job's id, files under the hash of their bytes, evidence under
its content. Rows and model are read anew by whichever process takes the job over, when the first step needs them.

A section that cannot be computed leaves its reason. One that stops on a defect of ours leaves that, and the others go
on: what an evaluation is for is to say what is known and what is not. Without its metrics there is none.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import rfc8785

from arkwright import __version__
from arkwright.access import canonical
from arkwright.core.clock import isoformat
from arkwright.core.errors import AdapterError, ArkwrightError, Invalid, Unavailable
from arkwright.core.events import EVALUATION_FILED
from arkwright.core.structs import prepared
from arkwright.evaluation.card import IntendedUse, model_card
from arkwright.evaluation.card_page import render_card_page
from arkwright.evaluation.card_signature import CARD_PAGE, REPORT, digests_of, sign_card
from arkwright.evaluation.card_text import render_card
from arkwright.evaluation.evaluation_request import EvaluationRequest
from arkwright.evaluation.examination import assemble, section
from arkwright.evaluation.experiment_outcome import outcome_of
from arkwright.evaluation.headline import EVIDENCE_KIND, headline_of
from arkwright.evaluation.material import NotComputed, rows_used
from arkwright.evaluation.model_evaluation import ON_REQUEST, SECTIONS, DataUsed, ModelEvaluation, SectionName
from arkwright.evaluation.report_page import render_report
from arkwright.evaluation.resources import InstanceType, price_table
from arkwright.evaluation.retention import Retention, filed_until
from arkwright.evaluation.service import EVALUATE_KIND
from arkwright.evaluation.stored_file import StoredFile, read_checked, sections_of, store_file
from arkwright.evaluation.workbench import EvaluationServices, Workbench
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobCancelled, JobRun
from arkwright.kit.objects import WorkspaceObjects
from arkwright.kit.signing import signing_key

__all__ = ["EvaluateJob", "EvaluationServices"]

_TITLES: dict[SectionName, tuple[str, float]] = {
    "performance": ("How good it is", 3.0),
    "weak_slices": ("Where it is weak", 3.0),
    "calibration": ("Whether its scores are probabilities", 2.0),
    "fairness": ("For whom it works", 3.0),
    "robustness": ("What disturbs it", 5.0),
    "operation": ("How fast it is", 5.0),
    "explanations": ("Why it answers as it does", 5.0),
    "behaviour": ("Whether it behaves as declared", 1.0),
    "challenge": ("Whether it is better than the other version", 2.0),
    "forecast": ("How it does as a forecast", 2.0),
}
"""What is said while a section is computed, and about how much of the time it takes."""

_TYPES: dict[str, Any] = get_type_hints(ModelEvaluation)
_LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "scipy")
_FROM, _TO = 0.05, 0.9
_PREFIX = "evaluations"


class EvaluateJob:
    """Examine a version section by section, and file what was found.

    Parameters
    ----------
    home
        The platform's folder: the key that signs cards is in it.
    prices
        Machines and what they cost, as the settings hold them (JSON); empty for the example prices.
    retention
        How long files are kept, which each evaluation says.

    Raises
    ------
    Invalid
        If the prices cannot be used.
    """

    kind = EVALUATE_KIND

    def __init__(
        self, services: EvaluationServices, *, home: Path, prices: str = "", retention: Retention | None = None
    ) -> None:
        self._services = services
        self._retention = retention or Retention()
        self._home = home
        self._prices = _price_table(prices)

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Evaluate; the result names the evidence and repeats the headline."""
        request = msgspec.convert(payload, EvaluationRequest)
        with ExitStack() as stack:
            bench = Workbench(self._services, job, request, stack, self._prices)
            return _Run(self._services, job, request, bench, self._home, self._retention).run()


class _Run:
    """The steps of one evaluation; all it holds can be rebuilt from the results of its steps."""

    def __init__(
        self,
        services: EvaluationServices,
        job: JobRun,
        request: EvaluationRequest,
        bench: Workbench,
        home: Path,
        retention: Retention,
    ) -> None:
        self._services = services
        self._job = job
        self._request = request
        self._bench = bench
        self._home = home
        self._retention = retention
        self._objects: WorkspaceObjects = services.objects.for_workspace(job.context.workspace_id)
        self._work = sections_of(job.job_id)

    def run(self) -> dict[str, Any]:
        job = self._job
        job.progress(0.01, "Reading the rows.")
        data = msgspec.convert(job.step("prepare", lambda: msgspec.to_builtins(self._bench.data())), DataUsed)
        for note in data.notes:
            job.log(note)
        done, missing, rows = self._sections()
        job.raise_if_cancelled()
        job.progress(_TO, "Putting the evaluation together.")
        data = msgspec.structs.replace(data, rows_by_section=rows)
        document: dict[str, Any] = job.step("assemble", lambda: self._assemble(data, done, missing))
        job.progress(0.94, "Writing the report and the card.")
        files: dict[str, Any] = job.step("publish", lambda: self._publish(document["file"], document["made_at"]))
        filed: dict[str, Any] = job.write_once("file", lambda unit: self._file(unit, document, files))
        self._objects.delete(self._work)
        job.progress(1.0, f"{document['title']}: {document['headline']['decision']}.")
        return {
            "evaluation_id": filed["evaluation_id"],
            "model_version_id": self._request.model_version_id,
            **document["headline"],
            "files": files,
        }

    # Sections

    def _sections(self) -> tuple[dict[SectionName, StoredFile], dict[SectionName, str], dict[str, int]]:
        """Compute each section that can be; return where they are, why the others are missing, and on how many rows."""
        done: dict[SectionName, StoredFile] = {}
        missing: dict[SectionName, str] = {}
        rows: dict[str, int] = {}
        asked = SECTIONS if self._request.forecast is None else (*SECTIONS, *ON_REQUEST)
        total, spent = sum(_TITLES[name][1] for name in asked), 0.0
        for position, name in enumerate(asked, start=1):
            self._job.raise_if_cancelled()
            title, weight = _TITLES[name]
            fraction = _FROM + (_TO - _FROM) * spent / total
            self._job.progress(
                fraction, f"{title} ({position} of {len(asked)}).", section=name, sections_done=position - 1
            )
            left = self._take(name, done)
            if left["file"]:
                done[name] = msgspec.convert(left["file"], StoredFile)
            if left["reason"]:
                missing[name] = left["reason"]
                self._job.log(f"{title}: not computed. {left['reason']}")
            if left["n_rows"]:
                rows[name] = left["n_rows"]
            spent += weight
        return done, missing, rows

    def _take(self, name: SectionName, done: Mapping[SectionName, StoredFile]) -> dict[str, Any]:
        try:
            left: dict[str, Any] = self._job.step(name, lambda: self._compute(name, done))
        except (JobCancelled, Unavailable, AdapterError):
            raise
        except ArkwrightError as error:
            if name == "performance":
                raise
            return {"file": None, "reason": error.detail, "n_rows": 0}
        return left

    def _compute(self, name: SectionName, done: Mapping[SectionName, StoredFile]) -> dict[str, Any]:
        material, options = self._bench.material, self._bench.options
        try:
            found = section(name, material, options, self._read(done))
        except NotComputed as error:
            if name == "performance":
                raise
            return {"file": None, "reason": error.detail, "n_rows": 0}
        content = msgspec.json.encode(found)
        # What cannot be read again (a NaN is null in JSON) must cost this section and no other.
        msgspec.json.decode(content, type=_TYPES[name])
        stored = store_file(self._objects, self._work, content, f"{name}.json")
        return {
            "file": msgspec.to_builtins(stored),
            "reason": "",
            "n_rows": rows_used(name, material, options),
        }

    def _read(self, done: Mapping[SectionName, StoredFile]) -> dict[SectionName, Any]:
        return {
            name: msgspec.json.decode(read_checked(self._objects, stored), type=_TYPES[name])
            for name, stored in done.items()
        }

    # From the sections to the evidence

    def _assemble(
        self, data: DataUsed, done: Mapping[SectionName, StoredFile], missing: Mapping[SectionName, str]
    ) -> dict[str, Any]:
        bench = self._bench
        with self._job.read() as unit:
            made_at = unit.clock.now()
        sections = self._read(done)
        document = assemble(
            bench.subject,
            data,
            sections,
            missing,
            bench.facts(sections.get("behaviour")),
            bench.options,
            fold_values=bench.fold_scores(),
            software=_software(),
        )
        content = rfc8785.dumps(canonical(msgspec.to_builtins(document)))
        headline = headline_of(document, favourable=self._request.favourable)
        return {
            "file": msgspec.to_builtins(self._store(content, "json")),
            "headline": msgspec.to_builtins(headline),
            "missing": [name for name in SECTIONS if getattr(document, name) is None],
            "outcome": outcome_of(document),
            "bundle_digest": document.subject.bundle_digest,
            "title": f"{headline.model_name} {headline.version}",
            # Recorded with the step, so that a card is the same one after a crash; the document has no clock.
            "made_at": isoformat(made_at),
        }

    def _publish(self, stored: dict[str, Any], created_at: str) -> dict[str, Any]:
        """Write what people read, and sign the card."""
        # What is signed is what was assembled: a document that was changed in the store since is refused.
        content = read_checked(self._objects, msgspec.convert(stored, StoredFile))
        document = msgspec.json.decode(content, type=ModelEvaluation)
        stated = self._request.stated
        card = model_card(
            document,
            created_at=created_at,
            intended_use=IntendedUse(
                primary_uses=stated.primary_uses, primary_users=stated.primary_users, out_of_scope=stated.out_of_scope
            ),
            developers=stated.developers,
            license=stated.license,
            contact=stated.contact,
        )
        readme = render_card(card)
        key = signing_key(self._home)
        # Both pages name the bundle, the document and the README.md, and are signed with them.
        cited = digests_of(card, document, readme, key_id=key.public.key_id)
        report = render_report(document, card_digest=f"sha256:{cited.readme_sha256}")
        page = render_card_page(card, cited)
        envelope = sign_card(
            card,
            document,
            readme,
            key_id=key.public.key_id,
            sign=key.sign,
            pages={REPORT: report, CARD_PAGE: page},
        )
        files = {
            "report": self._store(report.encode(), "html"),
            "card": self._store(readme.encode(), "md"),
            "card_page": self._store(page.encode(), "html"),
            "envelope": self._store(msgspec.json.encode(envelope), "dsse.json"),
        }
        return {"document": stored, **msgspec.to_builtins(files)}

    def _file(self, unit: UnitOfWork, document: dict[str, Any], files: dict[str, Any]) -> dict[str, Any]:
        compared = bool(document["headline"]["compared_with"])
        body = {
            **document["headline"],
            "files": files,
            "profile": self._request.profile,
            "kept_until": filed_until(self._retention, document["made_at"], compared=compared),
        }
        row = self._services.governance.file(unit, EVIDENCE_KIND, document["bundle_digest"], body)
        self._services.governance.link(
            unit, ("model_version", self._request.model_version_id), ("evidence", row.id), {"kind": EVIDENCE_KIND}
        )
        place, missing = f"/v1/evaluations/{row.id}", document["missing"]
        self._services.registry.cite(
            unit,
            self._request.model_version_id,
            model_card_uri=f"{place}/card",
            fairness_report_uri="" if "fairness" in missing else f"{place}/report#fairness",
            explainability_uri="" if "explanations" in missing else f"{place}/report#explanations",
        )
        outcome = document["outcome"]
        unit.emit(EVALUATION_FILED, self._request.model_version_id, {"evaluation_id": row.id, **outcome})
        return {"evaluation_id": row.id}

    def _store(self, content: bytes, ending: str) -> StoredFile:
        return store_file(self._objects, _PREFIX, content, ending)


def _price_table(text: str) -> tuple[InstanceType, ...]:
    if not text:
        return ()
    try:
        return price_table(msgspec.json.decode(text, type=list[dict[str, Any]]))
    except msgspec.DecodeError:
        raise Invalid(
            "The setting ARKWRIGHT_INSTANCE_PRICES cannot be read: it is no JSON list of objects.",
            code="settings.invalid",
            hint='Write it as [{"name": "small", "vcpus": 2, "memory_gb": 4, "usd_per_hour": 0.05}].',
        ) from None


def _software() -> dict[str, str]:
    versions = {"arkwright": __version__, "python": platform.python_version()}
    return {**versions, **{name: importlib.metadata.version(name) for name in _LIBRARIES}}


prepared(ModelEvaluation, DataUsed)
