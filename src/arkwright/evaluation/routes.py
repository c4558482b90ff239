"""Evaluations over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from arkwright.contracts import LoadTestReport
from arkwright.evaluation.attestation import Attestation as Content
from arkwright.evaluation.attestation import (
    FiledAttestation,
    attest_dashboard,
    attest_load_test,
    attest_rollback,
    attest_tests,
    in_short,
    slot_of,
)
from arkwright.evaluation.attestations import AttestationService
from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.declared_slices import DeclaredSlice
from arkwright.evaluation.evaluation_request import CardStatements, EvaluationRequest
from arkwright.evaluation.forecast_timeline import ForecastRequest
from arkwright.evaluation.payloads import (
    Attestation,
    CreateAttestation,
    CreateEvaluation,
    DefinitionOfDoneItem,
    Evaluation,
    EvaluationFile,
    ForecastOptions,
    KeptRows,
    VersionDefinitionOfDone,
)
from arkwright.evaluation.service import FoundEvaluation, ModelEvaluationService
from arkwright.evaluation.thresholds import Costs
from arkwright.kit.http import Accepted, Limit, Page, PageCursor, Read, Write, accepted, page_of, read_cursor, service
from arkwright.registry import RegistryService

router = APIRouter(prefix="/v1/evaluations", tags=["evaluation"])
version_router = APIRouter(prefix="/v1/models/{model}/versions/{version}", tags=["evaluation"])

# A report and a card are shown by browsers: neither may run or fetch anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_ANYTHING = {"schema": {"type": "object", "additionalProperties": True}}


@router.post("", status_code=202)
def create_evaluation(
    unit: Write,
    response: Response,
    body: CreateEvaluation,
    evaluations: ModelEvaluationService = service(ModelEvaluationService),
) -> Accepted:
    """Evaluate a model version, as a job: its result names the evaluation and says what was found in short."""
    job = evaluations.submit(unit, _request(body))
    accepted(response, job.id)
    return Accepted(job_id=job.id)


@router.get("")
def list_evaluations(
    unit: Read,
    model_version_id: Annotated[str, Query(description="The version, mv_...")],
    limit: Limit = 50,
    cursor: PageCursor = "",
    evaluations: ModelEvaluationService = service(ModelEvaluationService),
) -> Page[Evaluation]:
    """Return the evaluations of a version, newest first."""
    rows = evaluations.list(unit, model_version_id, limit=limit + 1, before=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, _evaluation)


@router.get("/{evaluation_id}", response_class=Response, responses={200: {"content": {"application/json": _ANYTHING}}})
def read_evaluation(
    unit: Read, evaluation_id: str, evaluations: ModelEvaluationService = service(ModelEvaluationService)
) -> Response:
    """Return an evaluation's whole document (``arkwright.evaluation/1``), by its id or its job's."""
    return Response(evaluations.content(unit, evaluation_id, "document"), media_type="application/json")


@router.get("/{evaluation_id}/summary")
def summarise_evaluation(
    unit: Read, evaluation_id: str, evaluations: ModelEvaluationService = service(ModelEvaluationService)
) -> Evaluation:
    """Return what an evaluation found in short, and the hashes of its files."""
    return _evaluation(evaluations.find(unit, evaluation_id))


@router.get("/{evaluation_id}/report", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def read_evaluation_report(
    unit: Read, evaluation_id: str, evaluations: ModelEvaluationService = service(ModelEvaluationService)
) -> Response:
    """Return the report: one page of HTML that needs nothing else, to be read or printed."""
    return _page(evaluations.content(unit, evaluation_id, "report"))


@router.get("/{evaluation_id}/card", response_class=Response, responses={200: {"content": {"text/markdown": {}}}})
def read_model_card(
    unit: Read, evaluation_id: str, evaluations: ModelEvaluationService = service(ModelEvaluationService)
) -> Response:
    """Return the model card: the ``README.md`` of a model's repository."""
    return Response(evaluations.content(unit, evaluation_id, "card"), media_type="text/markdown; charset=utf-8")


@router.get("/{evaluation_id}/card.html", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def read_model_card_page(
    unit: Read, evaluation_id: str, evaluations: ModelEvaluationService = service(ModelEvaluationService)
) -> Response:
    """Return the model card as a page, to be read or printed."""
    return _page(evaluations.content(unit, evaluation_id, "card_page"))


@router.get(
    "/{evaluation_id}/card.json", response_class=Response, responses={200: {"content": {"application/json": _ANYTHING}}}
)
def read_signed_card(
    unit: Read, evaluation_id: str, evaluations: ModelEvaluationService = service(ModelEvaluationService)
) -> Response:
    """Return the signed card (a DSSE envelope), which cites the bundle; ``arkwright card verify`` checks it."""
    return Response(evaluations.content(unit, evaluation_id, "envelope"), media_type="application/json")


@version_router.post("/attestations", status_code=201)
def attest(
    unit: Write,
    model: str,
    version: str,
    body: CreateAttestation,
    registry: RegistryService = service(RegistryService),
    attestations: AttestationService = service(AttestationService),
) -> Attestation:
    """File what is stated about a version: test reports, a load test, a dashboard, how to go back.

    The same statement again is the one that was filed; of each kind (of tests: of each scope) the newest one counts.
    """
    row = registry.version(unit, model, version)
    return _attestation(attestations.attest(unit, row.id, _attested(body, row.semver)))


@version_router.get("/attestations")
def list_attestations(
    unit: Read,
    model: str,
    version: str,
    limit: Limit = 50,
    cursor: PageCursor = "",
    registry: RegistryService = service(RegistryService),
    attestations: AttestationService = service(AttestationService),
) -> Page[Attestation]:
    """Return what was stated about a version, newest first."""
    row = registry.version(unit, model, version)
    rows = attestations.list(unit, row.id, limit=limit + 1, before=read_cursor(cursor))
    return page_of(rows, limit, lambda each: each.id, _attestation)


@version_router.get("/definition-of-done")
def read_definition_of_done(
    unit: Read,
    model: str,
    version: str,
    registry: RegistryService = service(RegistryService),
    attestations: AttestationService = service(AttestationService),
) -> VersionDefinitionOfDone:
    """Return the eleven items of a version as they are now, each with its evidence or what to do about it."""
    found = attestations.definition_of_done(unit, registry.version(unit, model, version).id)
    whole = found.definition_of_done
    items = [
        DefinitionOfDoneItem(
            key=item.key,
            title=item.title,
            status=item.status,
            evidence=list(item.evidence),
            reason=item.reason,
            remedy=item.remedy,
        )
        for item in whole.items
    ]
    return VersionDefinitionOfDone(
        model_version_id=found.model_version_id,
        model_name=found.model_name,
        version=found.version,
        evaluation_id=found.evaluation_id or None,
        decision=found.decision or None,
        items=items,
        n_met=whole.n_met,
        n_not_met=whole.n_not_met,
        n_unknown=whole.n_unknown,
        percent_complete=whole.percent_complete,
        done=whole.done,
        summary=whole.summary,
    )


@version_router.get("/rows")
def read_kept_rows(
    unit: Read,
    model: str,
    version: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many rows at the most.")] = 100,
    registry: RegistryService = service(RegistryService),
    attestations: AttestationService = service(AttestationService),
) -> KeptRows:
    """Return rows that were kept out of the version's training, its inputs only: to try an endpoint with."""
    row = registry.version(unit, model, version)
    return KeptRows(instances=list(attestations.rows(unit, row.id, limit=limit)))


def _page(content: bytes) -> Response:
    headers = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff"}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


def _request(body: CreateEvaluation) -> EvaluationRequest:
    return EvaluationRequest(
        model_version_id=body.model_version_id,
        model=body.model,
        version=body.version,
        dataset_version_id=body.data.dataset_version_id if body.data else "",
        upload_id=body.data.upload_id if body.data else "",
        sensitive=tuple(dict.fromkeys(body.sensitive)),
        sensitive_bins=dict(body.sensitive_bins),
        profile=body.profile,
        baseline_version_id=body.baseline,
        behaviour=body.behaviour,
        costs=Costs(**body.costs.model_dump()) if body.costs else None,
        favourable=body.favourable,
        primary_metric=body.primary_metric,
        latency_limit_ms=body.latency_limit_ms,
        wanted_per_second=body.wanted_per_second,
        purpose=body.purpose,
        solely_automated=body.solely_automated,
        gives_reasons=body.gives_reasons,
        semantics=dict(body.semantics),
        immutable=tuple(body.immutable),
        limits=tuple(ColumnLimit(**{**each.model_dump(), "levels": tuple(each.levels)}) for each in body.limits),
        slices=msgspec.convert([each.model_dump() for each in body.slices], tuple[DeclaredSlice, ...]),
        forecast=_forecast(body.forecast),
        no_people=body.no_people.strip(),
        hypothesis=body.hypothesis.strip(),
        guardrails=tuple(Guardrail(**each.model_dump()) for each in body.guardrails),
        criteria=tuple(Criterion(**each.model_dump()) for each in body.success_criteria),
        margin=body.margin,
        minimum_improvement=body.minimum_improvement,
        stated=msgspec.convert(body.card.model_dump(), CardStatements),
        seed=body.seed,
    )


def _forecast(body: ForecastOptions | None) -> ForecastRequest | None:
    if body is None:
        return None
    return ForecastRequest(
        time=body.time,
        series=body.series,
        season=body.season,
        horizon=body.horizon,
        history_dataset_version_id=body.history.dataset_version_id if body.history else "",
        history_upload_id=body.history.upload_id if body.history else "",
    )


def _evaluation(found: FoundEvaluation) -> Evaluation:
    files = {
        name: EvaluationFile(sha256=stored["sha256"], size_bytes=stored["size_bytes"])
        for name, stored in found.body["files"].items()
    }
    return Evaluation(
        **{**found.body, "files": files},
        removed_at=datetime.fromisoformat(found.expiry.removed_at) if found.expiry else None,
        id=found.id,
        bundle_digest=found.bundle_digest,
        created_by=found.created_by,
        created_at=found.created_at,
    )


def _attested(body: CreateAttestation, semver: str) -> Content:
    if body.tests is not None:
        return attest_tests(body.tests.scope, body.tests.junit)
    if body.load_test is not None:
        return attest_load_test(LoadTestReport(**body.load_test.model_dump()), semver)
    if body.dashboard is not None:
        return attest_dashboard(body.dashboard.url, body.dashboard.title)
    return attest_rollback(body.rollback_procedure or "")


def _attestation(filed: FiledAttestation) -> Attestation:
    kind, scope = slot_of(filed.content)
    return Attestation(
        id=filed.id,
        kind=kind,
        scope=scope,
        summary=in_short(filed.content),
        passed=getattr(filed.content, "passed", None),
        counts=filed.counts,
        content=msgspec.to_builtins(filed.content),
        bundle_digest=filed.bundle_digest,
        created_by=filed.created_by,
        created_at=filed.created_at,
    )
