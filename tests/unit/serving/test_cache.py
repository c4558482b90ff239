"""Answers to identical payloads."""

from __future__ import annotations

from arkwright.serving.cache import ResultCache


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def key(body: bytes = b"{}", deployment_id: str = "dep", digest: str = "sha256:1", with_scores: bool = False) -> bytes:
    return ResultCache.key(deployment_id, digest, body, with_scores=with_scores)


def test_an_answer_is_found_until_its_time_is_over():
    clock = Clock()
    cache = ResultCache(monotonic=clock)
    cache.put(key(), [{"label": "Yes", "score": 0.1 + 0.2}], 5.0)
    clock.now = 4.9
    assert cache.get(key()) == [{"label": "Yes", "score": 0.1 + 0.2}]
    clock.now = 5.0
    assert cache.get(key()) is None
    assert cache.size_bytes == 0


def test_another_body_deployment_bundle_or_question_is_another_answer():
    keys = {key(), key(b"{ }"), key(deployment_id="other"), key(digest="sha256:2"), key(with_scores=True)}
    assert len(keys) == 5


def test_what_is_handed_out_can_be_changed_without_harm():
    cache = ResultCache()
    cache.put(key(), [{"value": 1.0}], 5.0)
    cache.get(key())[0]["value"] = 2.0
    assert cache.get(key()) == [{"value": 1.0}]


def test_memory_is_bounded_and_the_least_recently_used_goes_first():
    cache = ResultCache(max_bytes=10_000, monotonic=Clock())
    wanted = key(b"wanted")
    cache.put(wanted, [{"value": 0.0}], 60.0)
    for index in range(1_000):
        cache.put(key(str(index).encode()), [{"value": float(index)}], 60.0)
        cache.get(wanted)
    assert cache.size_bytes <= 10_000
    assert cache.get(wanted) == [{"value": 0.0}]
    assert cache.get(key(b"0")) is None


def test_an_answer_that_is_too_large_is_not_kept():
    cache = ResultCache(max_bytes=1_000)
    cache.put(key(), [{"value": float(index)} for index in range(1_000)], 60.0)
    assert cache.get(key()) is None
    assert cache.size_bytes == 0


def test_keeping_the_same_payload_again_counts_once():
    cache = ResultCache()
    cache.put(key(), [{"value": 1.0}], 60.0)
    before = cache.size_bytes
    cache.put(key(), [{"value": 1.0}], 60.0)
    assert cache.size_bytes == before
