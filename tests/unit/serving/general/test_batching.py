"""Who shares a batch, who waits, and who gets which scores; no process involved."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.bundles import ModelFailed
from arkwright.bundles.model_process.frames import Inbox, ProtocolError, Scores, decode_cells, encode_rows, pack
from arkwright.core.errors import Unavailable
from arkwright.serving.general.batching import Batches


def scored(batch, failures=None):
    """Answer a batch as a model would whose score is ten times the only cell."""
    cells = [float(row[0]) for row in decode_cells(batch.cells)]
    return Scores(batch.batch, batch.parts, 1, (np.array(cells) * 10).tobytes(), failures or {})


def of(*cells):
    return encode_rows([[cell] for cell in cells])


async def test_what_arrives_while_the_model_works_makes_the_next_batch():
    batches = Batches(10, 10, 1.0)
    _, first = batches.add(of(1), 1)
    lone = batches.take()
    later = [batches.add(of(cell), 1)[1] for cell in (2, 3, 4)]
    assert batches.queued == 3
    batches.settle(scored(lone))
    assert (await first) == [[10.0]]
    batches.settle(scored(batches.take()))
    assert [await future for future in later] == [[[20.0]], [[30.0]], [[40.0]]]
    assert batches.take() is None
    assert not batches.busy


async def test_a_batch_is_never_larger_than_its_limit():
    batches = Batches(4, 10, 1.0)
    for n_rows in (3, 2, 2, 4, 1):
        batches.add(of(*range(n_rows)), n_rows)
    sizes = []
    while (batch := batches.take()) is not None:
        sizes.append([n_rows for _, n_rows in batch.parts])
        batches.settle(scored(batch))
    assert sizes == [[3], [2, 2], [4], [1]]


async def test_the_queue_is_bounded_and_a_later_piece_is_let_in_all_the_same():
    batches = Batches(4, 2, 1.0)
    batches.add(of(1), 1)
    batches.add(of(2), 1)
    with pytest.raises(Unavailable) as caught:
        batches.add(of(3), 1)
    assert caught.value.code == "inference.overloaded"
    batches.add(of(4), 1, 4)
    assert batches.queued == 3


async def test_those_who_no_longer_wait_are_not_sent():
    batches = Batches(4, 4, 1.0)
    ticket, _ = batches.add(of(1), 1)
    _, cancelled = batches.add(of(2), 1)
    _, patient = batches.add(of(3), 1)
    batches.forget(ticket)
    cancelled.cancel()
    batch = batches.take()
    assert decode_cells(batch.cells) == [[3]]
    batches.settle(scored(batch))
    assert await patient == [[30.0]]


async def test_only_the_caller_of_a_failed_row_is_told_and_with_its_own_row_number():
    batches = Batches(10, 10, 1.0)
    futures = [batches.add(of(*range(3)), 3)[1], batches.add(of(*range(3)), 3, 256)[1]]
    batches.settle(scored(batches.take(), {4: "ValueError: no"}))
    assert await futures[0] == [[0.0], [10.0], [20.0]]
    with pytest.raises(ModelFailed, match=r"instances\[257\] made the model raise ValueError: no\.") as caught:
        await futures[1]
    assert caught.value.errors[0]["field"] == "instances[257]"


@pytest.mark.parametrize(
    "changed",
    [
        lambda right: Scores(right.batch + 1, right.parts, 1, right.values),
        lambda right: Scores(right.batch, right.parts[::-1], 1, right.values),
        lambda right: Scores(right.batch, right.parts[:1], 1, right.values[:8]),
        lambda right: Scores(right.batch, right.parts, 1, right.values[:-8]),
        lambda right: Scores(right.batch, right.parts, 2, right.values),
    ],
    ids=["another batch", "another order", "fewer parts", "fewer scores", "more scores a row"],
)
async def test_an_answer_to_another_question_reaches_nobody(changed):
    batches = Batches(10, 10, 1.0)
    futures = [batches.add(of(1), 1)[1], batches.add(of(2), 1)[1]]
    right = scored(batches.take())
    with pytest.raises(ProtocolError):
        batches.settle(changed(right))
    assert not any(future.done() for future in futures)
    assert batches.fail_sent(Unavailable("gone")) == 2
    for future in futures:
        with pytest.raises(Unavailable):
            await future


@settings(max_examples=60, deadline=None)
@given(
    max_rows=st.integers(1, 8),
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=40),
    leaving=st.sets(st.integers(0, 39)),
    between=st.integers(1, 5),
)
def test_every_caller_gets_its_own_scores_whatever_shares_its_batch(max_rows, sizes, leaving, between):
    async def play():
        batches = Batches(max_rows, 1000, 1.0)
        waiting = []
        for index, size in enumerate(sizes):
            n_rows = min(size, max_rows)
            cells = [1000 * index + row for row in range(n_rows)]
            ticket, future = batches.add(of(*cells), n_rows)
            waiting.append((cells, future))
            if index in leaving:
                future.cancel()
                batches.forget(ticket)
            if index % between == 0 and not batches.busy and (batch := batches.take()) is not None:
                assert sum(n_rows for _, n_rows in batch.parts) <= max_rows
                batches.settle(scored(batch))
        while (batch := batches.take()) is not None:
            assert sum(n_rows for _, n_rows in batch.parts) <= max_rows
            batches.settle(scored(batch))
        for cells, future in waiting:
            with contextlib.suppress(asyncio.CancelledError):
                assert (await future) == [[10.0 * cell] for cell in cells]

    asyncio.run(play())


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 7))
def test_frames_are_put_together_whatever_pieces_they_come_in(values, size):
    stream = b"".join(pack(Scores(index, ((index, 1),), 1, value)) for index, value in enumerate(values))
    inbox = Inbox()
    bodies = [body for start in range(0, len(stream), size) for body in inbox.feed(stream[start : start + size])]
    assert bodies == [pack(Scores(index, ((index, 1),), 1, value))[4:] for index, value in enumerate(values)]


def test_a_length_beyond_reason_is_no_frame():
    with pytest.raises(ProtocolError):
        list(Inbox().feed(b"\xff\xff\xff\xff"))


def test_integers_of_any_size_can_be_sent():
    (row,) = decode_cells([encode_rows([[2**70, -(2**70), "text", 1.5, None, True]])])
    assert row == [str(2**70), str(-(2**70)), "text", 1.5, None, True]
    assert float(row[0]) == float(2**70)
