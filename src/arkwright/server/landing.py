"""The plain start page, until the web UI is there: projects, recent runs, where things are."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from arkwright.automl import ExperimentService
from arkwright.core.errors import NotAuthenticated
from arkwright.deployments import DeploymentService
from arkwright.kit.db import Database
from arkwright.kit.http import context_of, service
from arkwright.tenancy import TenancyService

router = APIRouter(include_in_schema=False)
_PAGE = Template((Path(__file__).parent / "landing.html").read_text(encoding="utf-8"))
_NO_RUNS = "<p>None yet. Start with <code>arkwright train</code>.</p>"
_SIGN_IN = """<p>You are not signed in on this browser.</p>
<p>Run <code>arkwright login-link</code> and open the link it prints; it works once, for ten minutes.</p>"""


@router.get("/")
def root() -> RedirectResponse:
    """Lead to the start page."""
    return RedirectResponse("/ui", status_code=307)


@router.get("/ui")
@router.get("/ui/{_page:path}")
def landing(
    request: Request,
    _page: str = "",
    tenancy: TenancyService = service(TenancyService),
    experiments: ExperimentService = service(ExperimentService),
    deployments: DeploymentService = service(DeploymentService),
) -> HTMLResponse:
    """Show projects, recent experiments and deployments to somebody who is signed in."""
    try:
        context = context_of(request)
    except NotAuthenticated:
        return HTMLResponse(_PAGE.substitute(body=_SIGN_IN), status_code=401)
    database: Database = request.app.state.database
    with database.read(context) as unit:
        projects = [(row.name, row.description or "no description") for row in tenancy.list_projects(unit, limit=20)]
        runs = [
            (row.name, f"{row.status}, target {row.target}", f"/v1/experiments/{row.id}/leaderboard")
            for row in experiments.recent(unit, limit=20)
        ]
        endpoints = [
            (row.name, deployments.state(unit, row).state, f"/v1/deployments/{row.id}")
            for row in deployments.list(unit, limit=20)
            if row.status == "active"
        ]
    body = "".join(
        [
            _section("Recent experiments", _linked(runs) or _NO_RUNS),
            _section("Deployments", _linked(endpoints) or "<p>None yet.</p>"),
            _section("Projects", "".join(f"<li><b>{_text(name)}</b> {_text(about)}</li>" for name, about in projects)),
        ]
    )
    return HTMLResponse(_PAGE.substitute(body=body))


def _section(title: str, content: str) -> str:
    inner = f"<ul>{content}</ul>" if content.startswith("<li>") else content
    return f"<section><h2>{title}</h2>{inner}</section>"


def _linked(rows: Sequence[tuple[str, str, str]]) -> str:
    return "".join(f'<li><a href="{_text(link)}">{_text(name)}</a> {_text(about)}</li>' for name, about, link in rows)


def _text(value: str) -> str:
    return html.escape(value, quote=True)
