"""Evaluations over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.decision import Criterion, Guardrail
from arkwright.evaluation.evaluation_request import CardStatements, EvaluationRequest
from arkwright.evaluation.payloads import CreateEvaluation, Evaluation, EvaluationFile
from arkwright.evaluation.service import FoundEvaluation, ModelEvaluationService
from arkwright.evaluation.thresholds import Costs
from arkwright.kit.http import Accepted, Limit, Page, PageCursor, Read, Write, accepted, page_of, read_cursor, service

router = APIRouter(prefix="/v1/evaluations", tags=["evaluation"])

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
        no_people=body.no_people.strip(),
        hypothesis=body.hypothesis.strip(),
        guardrails=tuple(Guardrail(**each.model_dump()) for each in body.guardrails),
        criteria=tuple(Criterion(**each.model_dump()) for each in body.success_criteria),
        margin=body.margin,
        minimum_improvement=body.minimum_improvement,
        stated=msgspec.convert(body.card.model_dump(), CardStatements),
        seed=body.seed,
    )


def _evaluation(found: FoundEvaluation) -> Evaluation:
    files = {
        name: EvaluationFile(sha256=stored["sha256"], size_bytes=stored["size_bytes"])
        for name, stored in found.body["files"].items()
    }
    return Evaluation(
        **{**found.body, "files": files},
        id=found.id,
        bundle_digest=found.bundle_digest,
        created_by=found.created_by,
        created_at=found.created_at,
    )
