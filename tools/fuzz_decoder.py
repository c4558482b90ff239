"""Throw bytes at the request decoders until one of them fails in a way it should not.

Usage: python tools/fuzz_decoder.py [seconds] [folder of seeds] [--only json,arrow]

Every protocol's body is decoded and, where it can be, scored and answered by a small model. With atheris importable
(it is no dependency of ours) the bytes are led by the coverage of ``arkwright``, in a process for each decoder; without
it they are random changes of a few good bodies. The seconds are shared out among the decoders.

A failure is an error that is no refusal of the caller's (4xx), more than a second of processor time, or half a gigabyte
of memory for one body, or two readers of the same protocol that disagree about whether a body is good. It prints the
bytes that caused it and leaves with status 1.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import importlib
import importlib.util
import io
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

HERE = "--here"  # said to a process that fuzzes one decoder by coverage
atheris: Any = importlib.import_module("atheris") if importlib.util.find_spec("atheris") else None

with atheris.instrument_imports(include=["arkwright"]) if HERE in sys.argv else contextlib.nullcontext():
    from arkwright.bundles import LinearEvaluator, Predictor, fit_encoder
    from arkwright.contracts import Column, Signature
    from arkwright.core.errors import ArkwrightError
    from arkwright.serving.bodies import unpack
    from arkwright.serving.exchange import Adapter, Request, Scored, begin
    from arkwright.serving.feedback import decode_outcomes
    from arkwright.serving.grpc.messages import messages
    from arkwright.serving.grpc.server import ModelInfer
    from arkwright.serving.instances import decode_instances, decode_slices
    from arkwright.serving.json_faults import find_fault
    from arkwright.serving.protocols.arrow import ArrowPredict
    from arkwright.serving.protocols.mlflow import Invocations
    from arkwright.serving.protocols.model_server import PredictSync
    from arkwright.serving.protocols.open_inference import Infer
    from arkwright.serving.protocols.tensors import from_bytes, from_json
    from arkwright.serving.protocols.v1 import Predict

MAX_ROWS = 100
LONG_BLANKS = b" " * 300_000  # more than JSON's faults are looked for in
CPU_SECONDS = 1.0
MEMORY_KILOBYTES = 500 * 1024
COLUMNS = (
    Column(name="tenure", kind="numeric"),
    Column(name="contract", kind="categorical"),
    Column(name="since", kind="time", required=False),
)
TABLE = {
    "tenure": np.array([1.0, 20.0, np.nan]),
    "contract": np.array(["month", "year", None], dtype=object),
    "since": np.array(["2024-01-01", "2025-06-30", "NaT"], dtype="datetime64[us]"),
}
TOKENS = [
    b'"', b"{", b"}", b"[", b"]", b"\\", b",", b":", b"\xff", b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"\x00",
    b"null", b"true", b"9" * 25, b'"tenure":', b'"contract":', b'"since":', b'"2026-03-01T09:30:00Z"',
    b'"customer":', b"\n", b"[[[[", b"\xff\xff\xff\xff", b'"instances":[', b'"inputs":[', b'"dataframe_records":[',
    b'"parameters":{', b'"binary_data_size":', b'"actual":', b'{"a":1,"a":2}', b'"a" :', b"}]},", b"}],",
]  # fmt: skip


class Target(NamedTuple):
    """A decoder, and bodies that it reads."""

    run: Callable[[bytes], None]
    seeds: Sequence[bytes]


class Disagreement(Exception):
    """Two readers of one protocol do not take the same bodies."""


def attempt(decode: Callable[[], object]) -> tuple[object, ArkwrightError | None]:
    """Return what came of a body; only a refusal of the caller's may be raised."""
    try:
        return decode(), None
    except ArkwrightError as error:
        if not 400 <= error.status < 500:
            raise
        return None, error


def make_model() -> Any:
    """Return a linear model as a live arm has it."""
    signature = Signature(
        task="binary",
        target="churn",
        columns=COLUMNS,
        classes=("No", "Yes"),
        identifiers=("customer",),
        ignored=("note",),
    )
    encoder = fit_encoder(COLUMNS, TABLE, layout="linear")
    predictor = Predictor(signature, encoder, LinearEvaluator([0.5] * encoder.n_outputs, 0.0, "sigmoid"))
    return SimpleNamespace(bundle=SimpleNamespace(signature=signature, predictor=predictor))


def answered(adapter: Adapter, **headers: str) -> Callable[[bytes], None]:
    """Return what takes a body all the way through a protocol."""
    arm = make_model()
    live: Any = SimpleNamespace(arms=[arm], endpoint=SimpleNamespace(name="churn", deployment_id="dep_1"))
    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    def answer(body: bytes) -> None:
        request = parsed(adapter, body, encoded)
        request.live = live
        if adapter.columnar:
            predictions = adapter.score_columns(adapter.columns(request, arm), arm)
        else:
            if adapter.rows_at_most(request) < 0:
                raise Disagreement("fewer rows than none")
            predictions = arm.bundle.predictor.predict_rows(adapter.rows(request, live))
        adapter.reply(request, Scored([], predictions, "1.0.0", "stable", "", 1.0))

    return lambda body: void(attempt(lambda: answer(body)))


def void(_result: object) -> None:
    return


def run_instances(body: bytes) -> None:
    whole, refused = attempt(lambda: decode_instances(body, MAX_ROWS))
    sliced, refused_too = attempt(lambda: [row for rows in decode_slices(body, MAX_ROWS, 2) for row in rows])
    if (refused is None) != (refused_too is None) or whole != sliced:
        raise Disagreement(f"whole: {refused or whole}; in slices: {refused_too or sliced}")


def run_long(body: bytes) -> None:
    """Blanks at the end make a body long, and mean nothing."""
    adapters: list[Adapter] = [PredictSync(), Invocations(), Infer()]
    for adapter in adapters:
        _, refused = attempt(partial(parsed, adapter, body))
        _, refused_too = attempt(partial(parsed, adapter, body + LONG_BLANKS))
        if (refused is None) != (refused_too is None):
            raise Disagreement(f"{adapter.name}, short: {refused}; long: {refused_too}")


def typed_or_general() -> Callable[[bytes], None]:
    """Return what reads one row in both ways: the typed one may decline, and may not answer otherwise."""
    predictor = make_model().bundle.predictor
    reader = predictor.row_reader()

    def both(body: bytes) -> None:
        typed = reader.read(body)
        general, refused = attempt(lambda: predictor.predict_rows(decode_instances(body, MAX_ROWS)))
        if typed is None:
            return
        answer = predictor.answer_row(typed)
        if refused is not None or [answer] != general:
            raise Disagreement(f"typed: {answer}; general: {refused or general}")
        if typed.text and [json.loads(typed.text)] != decode_instances(body, 1):
            raise Disagreement(f"logged as {typed.text!r}")

    return both


def parsed(adapter: Adapter, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> Request:
    scope = {"path": "/v2/models/churn/infer", "query_string": b"", "headers": headers}
    request = begin(scope, dict(headers), MAX_ROWS)
    request.body = body
    adapter.parse(request)
    return request


def run_tensors(body: bytes) -> None:
    kinds = ["BYTES", "BOOL", "INT8", "UINT64", "FP16", "FP32", "FP64"]
    kind, content = kinds[body[0] % len(kinds)] if body else "BYTES", body[1:]
    for shape in ([1], [2], [-1], [2, 2]):
        attempt(partial(from_bytes, "x", kind, shape, content))
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(content)
        attempt(lambda: from_json("x", kind, [2], document))


def run_packed(body: bytes) -> None:
    for encoding in (b"gzip", b"deflate"):
        content, _ = attempt(partial(unpack, body, encoding, 1_000))
        if isinstance(content, bytes) and len(content) > 1_000:
            raise Disagreement(f"{encoding!r} gave {len(content)} bytes")


def targets() -> dict[str, Target]:
    """Return every decoder by name."""
    rows: list[dict[str, Any]] = [
        {"tenure": 3, "contract": "month", "customer": "c"},
        {"tenure": None, "contract": "year"},
    ]
    rows[0]["since"] = "2025-01-02T03:04:05Z"
    good = json.dumps({"instances": rows}).encode()
    odd = [
        b'{"instances": [{"a": 1e308, "b": null, "c": "\\u20ac", "d": [1, {"e": true}]}, {}]}',
        b'{"instances": [{"a": NaN, "a": Infinity}]}',
        b'{"instances": [{"tenure": 1, "contract": "a", "contract": "b"}]}',
        b'{"instances": [{"tenure": 1, "contract": "a"}], "instances": [{"tenure": 2, "contract": "b"}]}',
    ]
    split = {"columns": ["tenure", "contract"], "data": [[1, "month"], [2.5, None]]}
    mlflow = [{"dataframe_split": split}, {"dataframe_records": rows}, {"inputs": {"tenure": [1], "contract": ["a"]}}]
    tensor = {"shape": [1], "datatype": "FP64", "name": "tenure", "data": [1]}
    text = {"shape": [1], "datatype": "BYTES", "name": "contract", "data": ["month"]}
    infer = json.dumps({"id": "r", "inputs": [tensor, text], "outputs": [{"name": "score"}]}).encode()
    sized = {"name": "tenure", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    binary = json.dumps({"inputs": [sized, text]}).encode()
    outcomes = {"outcomes": [{"request_id": "req_1", "row": 0, "actual": "Yes"}, {"request_id": "b", "actual": 1}]}
    asked = messages().ModelInferRequest(model_name="churn", id="r")
    asked.inputs.add(name="tenure", datatype="FP64", shape=[1]).contents.fp64_contents.append(3.0)
    asked.inputs.add(name="contract", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"month")
    raw = messages().ModelInferRequest(model_name="churn", raw_input_contents=[b"\0" * 8])
    raw.inputs.add(name="tenure", datatype="FP64", shape=[1, 1])
    one_class = [b"\0\x02\0\0\0ab\0\0\0\0", b"\x06" + bytes(16), b"\x06[1, [null]]"]
    return {
        "instances": Target(run_instances, [good, *odd]),
        "json": Target(answered(Predict()), [good, *odd]),
        "typed": Target(typed_or_general(), [json.dumps({"instances": [row]}).encode() for row in rows]),
        "fault": Target(lambda body: void(find_fault(body)), [good, *odd]),
        "long": Target(run_long, [good, infer, *odd, *(json.dumps(body).encode() for body in mlflow)]),
        "model_server": Target(answered(PredictSync()), [good, json.dumps({"inputs": rows, "model": "m"}).encode()]),
        "mlflow": Target(answered(Invocations()), [good, *(json.dumps(body).encode() for body in mlflow)]),
        "csv": Target(
            answered(Invocations(), content_type="text/csv"),
            [b'tenure,contract\n1,month\n,"a ""b"""\n', b"tenure\r\n1e3"],
        ),
        "open_inference": Target(answered(Infer()), [infer]),
        "open_inference_binary": Target(
            answered(Infer(), inference_header_content_length=str(len(binary))), [binary + bytes(8)]
        ),
        "tensors": Target(run_tensors, one_class),
        "grpc": Target(answered(ModelInfer()), [asked.SerializeToString(), raw.SerializeToString()]),
        "arrow": Target(answered(ArrowPredict(1_000_000)), arrow_seeds()),
        "feedback": Target(lambda body: void(attempt(lambda: decode_outcomes(body))), [json.dumps(outcomes).encode()]),
        "packed": Target(run_packed, [gzip.compress(good), zlib.compress(good), zlib.compress(bytes(2_000))]),
    }


def arrow_seeds() -> list[bytes]:
    texts = pa.array(["month", None])
    seeds = []
    for contract in (texts, texts.dictionary_encode(), texts.cast(pa.string_view()), texts.cast(pa.large_string())):
        since = pa.array([0, None], pa.timestamp("us", "UTC"))
        batch = pa.record_batch({"tenure": pa.array([1.5, None]), "contract": contract, "since": since})
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        seeds.append(sink.getvalue())
    return seeds


def watched(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return the decoder with an eye on its time and memory."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def one(body: bytes) -> None:
        nonlocal largest
        begun = time.process_time()
        try:
            run(body)
        except Exception:
            print(f"failed on {body!r}", file=sys.stderr)
            raise
        took = time.process_time() - begun
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if took > CPU_SECONDS or now - largest > MEMORY_KILOBYTES:
            raise Disagreement(f"{took:.1f} s and {(now - largest) >> 10} MB for {body!r}")
        largest = now

    return one


def changed(rng: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.randbytes(rng.randint(1, 4))
        elif kind == 1:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 2:
            data[at:at] = rng.choice(TOKENS)
        else:
            first = rng.randrange(len(data) + 1)
            data[at:at] = data[first : first + rng.randint(0, 40)]
    return bytes(data)


def led_by_coverage(name: str, target: Target, seconds: float, seeds: Sequence[bytes]) -> None:
    """Fuzz with atheris; it ends the process."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        return changed(rng, data)[:max_size] if rng.random() < 0.5 else atheris.Mutate(data, max_size)

    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        options = [f"-max_total_time={int(seconds)}", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]
        options += [f"-artifact_prefix={folder}/", "-max_len=4096", "-seed=1"]
        atheris.Setup([sys.argv[0], *options, folder], watched(target.run), custom_mutator=mutate)
        atheris.Fuzz()


def led_by_chance(target: Target, seconds: float, seeds: Sequence[bytes]) -> int:
    """Return how many random changes of the seeds were tried."""
    rng, one = random.Random(0), watched(target.run)
    until, tried = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        one(changed(rng, rng.choice(seeds)))
        tried += 1
    return tried


def in_a_process(name: str, arguments: argparse.Namespace, seconds: float) -> tuple[bool, str]:
    """Fuzz one decoder in a process of its own; return whether all went well, and its line of the report."""
    command = [sys.executable, __file__, str(seconds), *map(str, arguments.seeds), "--only", name, HERE]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True, errors="replace")
    covered = [(int(edges), int(paths)) for edges, paths in re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)]
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode or not covered or executed is None:
        said = done.stderr[max(0, done.stderr.find("failed on")) :] if "failed on" in done.stderr else done.stderr
        return False, f" ended with {done.returncode}\n{said[:2_000]}"
    (edges, paths), (last_edges, last_paths) = covered[0], covered[-1]
    return True, f"{int(executed[1]):12,}  edges {edges} -> {last_edges}, paths {paths} -> {last_paths}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=26.0, help="for all decoders together")
    parser.add_argument("seeds", nargs="*", type=Path, help="folders of more bodies to begin with")
    parser.add_argument("--only", default="", help="decoders, with commas between")
    parser.add_argument(HERE, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    known = targets()
    names = arguments.only.split(",") if arguments.only else list(known)
    seconds, failed = arguments.seconds / len(names), 0
    for name in names:
        target = known[name]
        seeds = [*target.seeds, *(path.read_bytes() for folder in arguments.seeds for path in sorted(folder.iterdir()))]
        if arguments.here:
            led_by_coverage(name, target, seconds, seeds)
        if atheris:
            well, shown = in_a_process(name, arguments, seconds)
            failed += not well
        else:
            shown = f"{led_by_chance(target, seconds, seeds):12,}"
        print(f"{name:22}{shown}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
