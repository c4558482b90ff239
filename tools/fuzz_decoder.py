"""Throw bytes at the request decoders until one of them fails in a way it should not.

Usage: python tools/fuzz_decoder.py [seconds] [folder of seeds]

With atheris installed (it is no dependency of ours: ``pip install atheris``) the bytes are led by coverage; without it
they are random changes of a few good bodies. A crash prints the bytes that caused it and leaves with status 1.
"""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from arkwright.core.errors import ArkwrightError
from arkwright.serving.bodies import unpack
from arkwright.serving.instances import decode_instances, decode_slices
from arkwright.serving.json_faults import find_fault
from arkwright.serving.protocols.tensors import from_bytes

SEEDS = [
    b'{"instances": [{"tenure": 3, "contract": "month"}]}',
    b'{"instances": [{"a": 1e308, "b": null, "c": "\\u20ac", "d": [1, {"e": true}]}, {}]}',
    b'{"instances": [{"a": NaN, "a": Infinity}]}',
    b"\x02\x00\x00\x00ab\x00\x00\x00\x00",
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00",
]


def one(data: bytes) -> None:
    """Try every decoder; only a refusal of ours may come out."""
    tries: list[Callable[[], object]] = [
        lambda: decode_instances(data, 100),
        lambda: list(decode_slices(data, 100, 2)),
        lambda: find_fault(data),
        lambda: unpack(data, b"gzip", 1_000),
        lambda: unpack(data, b"deflate", 1_000),
        lambda: from_bytes("x", "BYTES", [2], data),
        lambda: from_bytes("x", "FP64", [1], data),
    ]
    for attempt in tries:
        try:
            attempt()
        except ArkwrightError as error:
            if not 400 <= error.status < 500:
                raise


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
            data[at:at] = rng.choice(
                [b'"', b"{", b"[", b"\\", b",", b":", b"\xff", b"\\ud800", b"NaN", b"1e999", b"\x00"]
            )
        else:
            data[at:at] = data[: rng.randint(0, 40)]
    return bytes(data)


def main(arguments: list[str]) -> int:
    seconds = float(arguments[0]) if arguments else 10.0
    seeds = SEEDS + [path.read_bytes() for folder in arguments[1:] for path in Path(folder).iterdir()]
    if importlib.util.find_spec("atheris"):
        atheris = importlib.import_module("atheris")
        atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}"], one)
        atheris.Fuzz()
        return 0
    rng = random.Random(0)
    until = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < until:
        data = changed(rng, rng.choice(seeds))
        try:
            one(data)
        except Exception:
            print(f"failed on {data!r}")
            raise
        tried += 1
    print(f"{tried:,} bodies, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
