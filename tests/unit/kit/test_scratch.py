from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from arkwright.kit.scratch import scratch_folder, sweep


def test_temporary_files_lie_in_a_folder_that_goes_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder("worker") as folder:
        inside = Path(tempfile.mkdtemp())
        assert inside.parent == folder == Path(os.environ["TMPDIR"])
        assert folder.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    assert tempfile.gettempdir() == str(tmp_path)


def test_what_a_killed_process_left_is_removed_by_the_next_and_a_living_one_s_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import time\n"
        "from arkwright.kit.scratch import scratch_folder\n"
        "with scratch_folder('worker') as folder:\n"
        "    (folder / 'rows.npy').write_bytes(b'x')\n"
        "    print(folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert process.stdout is not None
    with process, process.stdout:
        left = Path(process.stdout.readline().strip())
        assert sweep(tmp_path, "arkwright-worker-") == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (left / "rows.npy").exists()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder("worker") as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_what_only_looks_like_a_scratch_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "arkwright-worker-link").symlink_to(tmp_path / "target")
    (tmp_path / "arkwright-worker-file").write_text("mine")
    assert sweep(tmp_path, "arkwright-worker-") == []
    assert (tmp_path / "target").is_dir()
