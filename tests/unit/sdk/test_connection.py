"""Finding the platform and its key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arkwright.core.errors import Invalid
from arkwright.sdk.connection import DEFAULT_URL, find_connection, normalise_url, pointer_path, read_pointer

KEY = "ark_the-key-of-this-platform"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ARKWRIGHT_URL", "ARKWRIGHT_API_KEY", "ARKWRIGHT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder as a started platform leaves it."""
    folder = tmp_path / "home"
    (folder / "credentials").mkdir(parents=True)
    (folder / "credentials" / "admin.key").write_text(KEY + "\n")
    (folder / "run").mkdir()
    (folder / "run" / "state.json").write_text(json.dumps({"pid": 1, "url": "http://127.0.0.1:9090"}))
    return folder


def point_to(home: Path, url: str = "http://127.0.0.1:9090") -> None:
    pointer_path().parent.mkdir(parents=True)
    document = {"url": url, "key_file": str(home / "credentials" / "admin.key"), "home": str(home)}
    pointer_path().write_text(json.dumps(document))


def test_arguments_win_over_everything(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    point_to(home)
    monkeypatch.setenv("ARKWRIGHT_URL", "http://other:1")
    monkeypatch.setenv("ARKWRIGHT_API_KEY", "env")
    found = find_connection("https://ark.example.com/", "given")
    assert (found.url, found.key) == ("https://ark.example.com", "given")


def test_the_environment_wins_over_the_pointer(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    point_to(home)
    monkeypatch.setenv("ARKWRIGHT_URL", "http://other:1")
    monkeypatch.setenv("ARKWRIGHT_API_KEY", "env")
    found = find_connection()
    assert (found.url, found.key, found.home) == ("http://other:1", "env", None)


def test_the_pointer_leads_to_the_platform_and_its_key(home: Path) -> None:
    point_to(home)
    found = find_connection()
    assert (found.url, found.key, found.home) == ("http://127.0.0.1:9090", KEY, home)


def test_a_home_leads_to_its_own_platform_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("ARKWRIGHT_URL", "http://other:1")
    monkeypatch.setenv("ARKWRIGHT_API_KEY", "the-other-one-s")
    found = find_connection(home=home)
    assert (found.url, found.key) == ("http://127.0.0.1:9090", KEY)


def test_the_home_in_the_environment_wins_over_the_pointer(
    monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    point_to(tmp_path / "elsewhere", "http://127.0.0.1:7000")
    monkeypatch.setenv("ARKWRIGHT_HOME", str(home))
    assert find_connection().url == "http://127.0.0.1:9090"


def test_the_key_of_this_machine_s_platform_is_not_sent_to_another_one(home: Path) -> None:
    point_to(home)
    assert find_connection("https://ark.example.com").key is None
    assert find_connection("http://127.0.0.1:9091").key is None
    assert find_connection("http://localhost:9090").key == KEY


def test_without_any_hint_the_default_port_of_this_machine_is_meant() -> None:
    found = find_connection()
    assert (found.url, found.key, found.home) == (DEFAULT_URL, None, None)


@pytest.mark.parametrize("content", ["", "not json", "[]", "{}", '{"url": 3}', '{"url": "ftp://x"}'])
def test_a_damaged_pointer_is_as_good_as_none(content: str) -> None:
    pointer_path().parent.mkdir(parents=True)
    pointer_path().write_text(content)
    assert read_pointer() is None


def test_a_key_never_shows_in_a_connection_s_text(home: Path) -> None:
    point_to(home)
    assert KEY not in repr(find_connection())


@pytest.mark.parametrize("url", ["", "localhost:8585", "ftp://host", "http://", "http://host:notaport"])
def test_an_address_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalise_url(url)
    assert refused.value.code == "sdk.url"
    assert repr(url) in refused.value.detail


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(Invalid) as refused:
        find_connection("http://host", key)
    assert key not in refused.value.detail
