"""Problems, pages and idempotency, over a real application."""

from __future__ import annotations

import base64
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy import select

from arkwright.access import record
from arkwright.access.tables import AuditRow
from arkwright.core.clock import FixedClock
from arkwright.core.context import Actor, Context
from arkwright.core.errors import Invalid, NotAuthenticated, PolicyRefused, Unavailable
from arkwright.core.ids import new_id
from arkwright.core.problems import error_from_document
from arkwright.kit.db import Database
from arkwright.kit.http import (
    IdempotencyMiddleware,
    Page,
    PageCursor,
    Read,
    RequestMiddleware,
    Write,
    forget_in_flight,
    install_problem_handlers,
    page_of,
    read_cursor,
    read_number_cursor,
)
from arkwright.kit.http.tables import IdempotencyRow
from arkwright.kit.telemetry import exposition
from arkwright.tenancy.tables import ProjectRow

KEY = {"Authorization": "Bearer good"}


class Body(BaseModel):
    name: str


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def app(database: Database, context: Context, gate: threading.Event) -> FastAPI:
    app = FastAPI()

    def authenticate(secret: str, request_id: str) -> Context:
        if secret not in ("good", "colleague"):
            raise NotAuthenticated("The key is not known.")
        return context if secret == "good" else context.acting_as(Actor("user_colleague", "user"))

    app.state.database = database
    app.state.services = {}
    app.state.authenticate = authenticate
    install_problem_handlers(app)
    app.add_middleware(IdempotencyMiddleware)
    app.add_middleware(RequestMiddleware)

    @app.post("/things", status_code=201)
    def create(unit: Write, body: Body, response: Response) -> dict[str, int]:
        row = record(unit, "thing.create", "thing", body.name)
        if body.name == "refused":
            raise PolicyRefused("No.", unmet=["It is not good enough."])
        if body.name == "away":
            raise Unavailable("Not now.", retry_after_seconds=7)
        if body.name == "defect":
            raise ZeroDivisionError("secret detail")
        if body.name == "slow":
            gate.wait(5)
        if body.name == "secret":
            response.headers["Cache-Control"] = "no-store"
        if body.name == "twice":
            for _ in range(2):
                unit.session.add(ProjectRow(id=new_id("project"), name="same", created_at=unit.clock.now()))
            unit.session.flush()
        return {"seq": row.seq}

    @app.post("/streams")
    async def stream(request: Request) -> StreamingResponse:
        read = await request.body()

        async def parts() -> AsyncIterator[bytes]:
            for part in (b"a", b"b", read):
                yield part

        return StreamingResponse(parts(), media_type="text/plain")

    @app.get("/numbers/{number}")
    def number(unit: Read, number: int) -> list[str]:
        return list(unit.session.scalars(select(AuditRow.id).where(AuditRow.seq == number)))

    @app.get("/things")
    def things(unit: Read, cursor: PageCursor = "", limit: int = 2) -> Page[str]:
        after = int(read_cursor(cursor) or 0)
        rows = list(
            unit.session.scalars(select(AuditRow).where(AuditRow.seq > after).order_by(AuditRow.seq).limit(limit + 1))
        )
        return page_of(rows, limit, lambda row: str(row.seq), lambda row: row.entity_id)

    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False, headers=KEY) as opened:
        yield opened


def names(client: TestClient) -> list[str]:
    return list(client.get("/things?limit=100").json()["items"])


def test_an_answer_means_that_it_was_committed(client: TestClient) -> None:
    assert client.post("/things", json={"name": "a"}).json() == {"seq": 1}
    assert names(client) == ["a"]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("refused", 409, "policy_refused"), ("away", 503, "unavailable"), ("defect", 500, "internal")],
)
def test_an_error_is_a_problem_document_and_nothing_is_kept(
    client: TestClient, name: str, status: int, code: str
) -> None:
    answer = client.post("/things", json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret detail" not in answer.text
    assert names(client) == []


def test_the_client_gets_the_same_error_back(client: TestClient) -> None:
    refused = error_from_document(client.post("/things", json={"name": "refused"}).json())
    assert isinstance(refused, PolicyRefused)
    assert refused.unmet == ["It is not good enough."]
    away = client.post("/things", json={"name": "away"})
    assert away.headers["retry-after"] == "7"
    assert isinstance(error_from_document(away.json()), Unavailable)


def test_a_malformed_body_names_its_fields(client: TestClient) -> None:
    answer = client.post("/things", json={"title": "x"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"


@pytest.mark.parametrize("headers", [{"Authorization": ""}, {"Authorization": "Bearer bad"}])
def test_without_a_good_key_nothing_is_done(app: FastAPI, headers: dict[str, str]) -> None:
    with TestClient(app, headers=headers) as stranger:
        answer = stranger.post("/things", json={"name": "a"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_a_path_that_is_not_there_is_a_problem_too(client: TestClient) -> None:
    assert client.get("/nowhere").json()["code"] == "not_found"
    assert client.delete("/things").status_code == 405


def test_a_request_id_is_taken_over_if_it_is_harmless(client: TestClient) -> None:
    assert client.get("/things", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = client.get("/things", headers={"X-Request-Id": "evil id <x>"}).headers["x-request-id"]
    assert made.startswith("req_")


def test_pages_lead_to_each_other_and_end(client: TestClient) -> None:
    for name in "abcde":
        client.post("/things", json={"name": name})
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/things", params={"cursor": cursor}).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert seen == list("abcde")


@pytest.mark.parametrize("cursor", ["ÿ!", "!!!!", "a", "====", "AAA=", "bm9\n", "\ud800"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid, match="not one of ours"):
        read_cursor(cursor)


@pytest.mark.parametrize("key", ["ds_1", "-1", "1.5", "9" * 5000])
def test_a_cursor_of_another_list_is_refused_by_a_numbered_one(key: str) -> None:
    with pytest.raises(Invalid, match="not one of ours"):
        read_number_cursor(base64.urlsafe_b64encode(key.encode()).decode())


def test_a_number_that_no_column_holds_is_the_caller_s_mistake(client: TestClient) -> None:
    answer = client.get(f"/numbers/{10**30}")
    assert (answer.status_code, answer.json()["code"]) == (422, "value.unstorable")


def test_what_somebody_else_has_just_created_is_a_conflict(client: TestClient) -> None:
    answer = client.post("/things", json={"name": "twice"})
    assert (answer.status_code, answer.json()["code"]) == (409, "database.duplicate")
    assert names(client) == []


@pytest.mark.parametrize("body", [b'{"\\ud800": 1}', b"\xff", b"[" * 100_000, b'{"name": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_text_is_the_caller_s_mistake(client: TestClient, body: bytes) -> None:
    answer = client.post("/things", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["detail"]


def test_half_a_character_in_a_name_does_not_stop_the_audit(client: TestClient) -> None:
    body = b'{"name": "half \\ud800"}'
    assert client.post("/things", content=body, headers={"Content-Type": "application/json"}).status_code == 201
    assert names(client) == ["half \ufffd"]


def test_a_method_somebody_made_up_is_no_label_of_a_metric(client: TestClient) -> None:
    client.request("BREW", "/things")
    assert b'method="BREW"' not in exposition()


def test_a_browser_s_session_is_not_usable_from_another_site(app: FastAPI) -> None:
    with TestClient(app, cookies={"arkwright_session": "good"}) as browser:
        forged = browser.post("/things", json={"name": "a"}, headers={"Origin": "https://evil.example"})
        assert (forged.status_code, forged.json()["code"]) == (403, "csrf.refused")
        own = browser.post("/things", json={"name": "a"}, headers={"Origin": "http://testserver"})
        assert own.status_code == 201


@pytest.mark.parametrize("headers", [{"Origin": "http://["}, {"Origin": "null"}, {}, {"Sec-Fetch-Site": "same-site"}])
def test_a_browser_must_say_where_a_changing_request_comes_from(app: FastAPI, headers: dict[str, str]) -> None:
    with TestClient(app, cookies={"arkwright_session": "good"}, raise_server_exceptions=False) as browser:
        answer = browser.post("/things", json={"name": "a"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf.refused")
        assert browser.get("/things", headers=headers).status_code == 200


class TestIdempotencyKey:
    def test_the_same_request_is_done_once(self, client: TestClient) -> None:
        first = client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        second = client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        assert (second.status_code, second.json()) == (first.status_code, first.json())
        assert second.headers["idempotent-replayed"] == "true"
        assert names(client) == ["a"]

    def test_another_body_under_the_same_key_is_refused(self, client: TestClient) -> None:
        client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        answer = client.post("/things", json={"name": "b"}, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.mismatch")

    def test_a_failure_of_the_platform_can_be_tried_again(self, client: TestClient) -> None:
        for _ in range(2):
            answer = client.post("/things", json={"name": "away"}, headers={"Idempotency-Key": "k"})
            assert answer.status_code == 503
            assert "idempotent-replayed" not in answer.headers

    def test_a_day_later_the_key_is_free_again(self, client: TestClient, clock: FixedClock) -> None:
        client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        clock.advance(86_401)
        client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        assert names(client) == ["a", "a"]

    def test_a_request_whose_answer_was_lost_in_a_crash_is_not_done_twice(
        self, client: TestClient, database: Database, context: Context, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The process dies after the commit and before the answer is kept; the next start takes dead claims back.
        monkeypatch.setattr("arkwright.kit.http.idempotency._Memory.keep", lambda _memory, _answer: None)
        client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        forget_in_flight(database, context.workspace_id)
        again = client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        assert (again.status_code, again.json()["code"]) == (409, "idempotency.answer_lost")
        assert names(client) == ["a"]

    def test_without_a_good_key_an_idempotency_key_is_refused(self, app: FastAPI) -> None:
        with TestClient(app) as stranger:
            answer = stranger.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
            assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_two_people_may_use_the_same_key(self, client: TestClient) -> None:
        colleague = {"Authorization": "Bearer colleague"}
        first = client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        second = client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k", **colleague})
        assert (first.json(), second.json()) == ({"seq": 1}, {"seq": 2})

    def test_another_query_under_the_same_key_is_refused(self, client: TestClient) -> None:
        client.post("/things?dry=1", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        answer = client.post("/things?dry=2", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency.mismatch")

    def test_a_refusal_is_repeated_and_not_decided_again(self, client: TestClient) -> None:
        first, second = (
            client.post("/things", json={"name": "refused"}, headers={"Idempotency-Key": "k"}) for _ in range(2)
        )
        assert (second.status_code, second.json()["unmet"]) == (409, first.json()["unmet"])
        assert second.headers["content-type"] == "application/problem+json"
        assert second.headers["idempotent-replayed"] == "true"

    def test_a_secret_is_not_kept_and_not_made_twice(
        self, client: TestClient, database: Database, context: Context
    ) -> None:
        first = client.post("/things", json={"name": "secret"}, headers={"Idempotency-Key": "k"})
        second = client.post("/things", json={"name": "secret"}, headers={"Idempotency-Key": "k"})
        assert first.status_code == 201
        assert (second.status_code, second.json()["code"]) == (409, "idempotency.told_once")
        assert names(client) == ["secret"]
        with database.read(context) as unit:
            row = unit.session.scalars(select(IdempotencyRow)).one()
        assert "seq" not in row.body

    def test_while_the_first_request_runs_a_second_is_told_to_wait(
        self, client: TestClient, database: Database, context: Context, clock: FixedClock
    ) -> None:
        client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        with database.write(context) as unit:  # as if its process had been killed before it answered
            unit.session.scalars(select(IdempotencyRow)).one().status_code = 0
        waiting = client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"})
        assert (waiting.status_code, waiting.json()["code"]) == (409, "idempotency.in_flight")
        clock.advance(601)
        assert client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "k"}).status_code == 201

    def test_a_streamed_answer_is_repeated_whole(self, client: TestClient) -> None:
        for _ in range(2):
            assert client.post("/streams", content=b"c", headers={"Idempotency-Key": "k"}).text == "abc"

    def test_a_body_too_large_to_compare_is_refused(self, client: TestClient) -> None:
        answer = client.post("/streams", content=b"x" * 1_000_001, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (413, "idempotency.body")
        long = client.post("/streams", content=b"", headers={"Idempotency-Key": "k" * 201})
        assert (long.status_code, long.json()["code"]) == (422, "idempotency.key")

    def test_old_keys_do_not_pile_up(
        self, client: TestClient, database: Database, context: Context, clock: FixedClock
    ) -> None:
        for i in range(3):
            client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": f"k{i}"})
        clock.advance(86_401)
        client.post("/things", json={"name": "a"}, headers={"Idempotency-Key": "new"})
        with database.read(context) as unit:
            assert len(unit.session.scalars(select(IdempotencyRow)).all()) == 1
