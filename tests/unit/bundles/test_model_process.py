"""A model in a process of its own, asked by code that waits."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.unit.general_bundles import SIGNATURE, obedient_model, write_pickled

from arkwright.bundles import BundleCorrupt, ModelFailed, ModelTimeout, PredictionInvalid, load_bundle
from arkwright.bundles.model_process import GeneralScorer, launch_model
from arkwright.core.errors import ArkwrightError, Invalid, Unavailable


def rows(n_rows, first=0):
    return [{"x": float(first + index), "order": "none"} for index in range(n_rows)]


def table(n_rows):
    order = np.full(n_rows, None, dtype=object)
    return {"x": np.arange(n_rows, dtype=np.float64), "order": order}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("general") / "bundle"
    return load_bundle(folder, write_pickled(folder, obedient_model()))


@pytest.fixture(scope="module")
def scorer(bundle):
    with GeneralScorer(bundle.folder, bundle.digest, bundle.signature, timeout_seconds=60, rows_at_once=100) as opened:
        yield opened


def test_a_table_is_scored_in_pieces_and_in_order(scorer):
    assert scorer.predict_columns(table(250))[:, 0].tolist() == [2.0 * x + 1 for x in range(250)]


def test_answers_have_the_shape_of_the_compiled_predictor_s(scorer):
    assert scorer.answer_columns(table(2))["value"].tolist() == [1.0, 3.0]
    rows = [{"x": 3, "order": None, "id": "a"}, {"x": None, "order": None, "note": [1]}]
    assert scorer.predict_rows(rows) == [{"id": "a", "value": 7.0}, {"value": 0.0}]


def test_an_empty_table_has_no_answers(scorer):
    assert scorer.predict_columns(table(0)).shape == (0, 1)


def test_rows_that_do_not_fit_are_refused_before_the_model_sees_them(scorer):
    with pytest.raises(PredictionInvalid, match="x"):
        scorer.predict_rows([{"x": "three", "order": None}])


def test_a_poison_row_is_named_by_its_place_in_the_table(scorer):
    columns = table(230)
    columns["order"][[117, 205]] = "poison"
    with pytest.raises(ModelFailed) as caught:
        scorer.predict_columns(columns)
    assert caught.value.errors == [
        {"field": "row 117", "message": "made the model raise ValueError: this row is poison"}
    ]
    assert scorer.predict_columns(table(1)).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("order", "said"), [("one too few", "answered with shape"), ("not a number", "not a finite number")]
)
def test_a_model_that_answers_nonsense_has_failed(scorer, order, said):
    with pytest.raises(ArkwrightError, match=said):
        scorer.predict_rows([{"x": 1, "order": order}])


def test_a_dead_process_is_an_error_once_and_then_started_again(scorer):
    with pytest.raises(Unavailable, match=r"signal 9 \(SIGKILL\)"):
        scorer.predict_rows([{"x": 1, "order": "die"}])
    assert scorer.predict_rows(rows(1)) == [{"value": 1.0}]


def test_a_process_that_died_between_two_calls_is_not_noticed_by_the_caller(scorer):
    scorer.predict_rows(rows(1))
    os.kill(scorer._process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, scorer._process.pid, os.WEXITED | os.WNOWAIT)
    assert scorer.predict_rows(rows(1)) == [{"value": 1.0}]


def test_the_last_words_of_a_process_explain_its_end(scorer):
    with pytest.raises(Unavailable, match=r"exit code 3; its last words: the model says goodbye"):
        scorer.predict_rows([{"x": 1, "order": "leave"}])


def test_a_model_that_hangs_is_ended(bundle):
    with GeneralScorer(bundle.folder, bundle.digest, bundle.signature, timeout_seconds=0.3) as scorer:
        pid = scorer._process.pid
        with pytest.raises(ModelTimeout, match=r"longer than 0\.3 s for 1 rows"):
            scorer.predict_rows([{"x": 1, "order": "hang"}])
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_nothing_is_left_of_a_closed_scorer(bundle):
    with GeneralScorer(bundle.folder, bundle.digest, bundle.signature) as scorer:
        pid, folder = scorer._process.pid, scorer._process._folder
        assert (folder / "bundle" / "manifest.json").is_file()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_sees_no_secret_and_uses_one_thread(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("ARKWRIGHT_INTERNAL_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with GeneralScorer(bundle.folder, bundle.digest, bundle.signature) as scorer:
        scorer.predict_rows([{"x": 1, "order": f"environment:{tmp_path / 'seen'}"}])
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert "OMP_NUM_THREADS=1" in seen


PARENT = """
import sys
from pathlib import Path
from arkwright.bundles import load_bundle
from arkwright.bundles.model_process import GeneralScorer
bundle = load_bundle(Path(sys.argv[1]), sys.argv[2])
with GeneralScorer(bundle.folder, bundle.digest, bundle.signature) as scorer:
    print(scorer._process.pid, scorer._process._folder, flush=True)
    scorer.predict_rows([{"x": 1, "order": "hang"}])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child ends when it next reads from its socket")
def test_a_busy_process_ends_with_a_parent_that_is_killed(bundle):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(bundle.folder), bundle.digest], stdout=subprocess.PIPE, text=True
    )
    pid, folder = parent.stdout.readline().split()
    child = os.pidfd_open(int(pid))
    parent.kill()
    parent.wait()
    assert select.select([child], [], [], 30)[0], "the child outlived its parent"
    os.close(child)
    shutil.rmtree(folder)


class Writes:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_a_tampered_model_is_refused_before_it_is_unpickled(tmp_path):
    digest = write_pickled(tmp_path / "bundle", obedient_model())
    import cloudpickle

    evil = cloudpickle.dumps(Writes(tmp_path / "written"))
    model = tmp_path / "bundle" / "model" / "model.pkl"
    model.write_bytes(evil + b"\0" * (model.stat().st_size - len(evil)))
    with pytest.raises(Invalid, match=r"model/model\.pkl has changed") as caught, entered(tmp_path / "bundle", digest):
        pass
    assert caught.value.code == BundleCorrupt.code
    assert not (tmp_path / "written").exists()


def test_the_same_pickle_in_an_honest_bundle_would_have_run(tmp_path):
    """The test above proves something only if this file is one that runs."""
    digest = write_pickled(tmp_path / "bundle", Writes(tmp_path / "written"))
    with pytest.raises(Invalid, match="failed for the bundle's example rows"), entered(tmp_path / "bundle", digest):
        pass
    assert (tmp_path / "written").exists()


def test_a_link_in_the_model_s_folder_is_refused(tmp_path):
    digest = write_pickled(tmp_path / "bundle", obedient_model())
    model = tmp_path / "bundle" / "model" / "model.pkl"
    model.rename(tmp_path / "elsewhere.pkl")
    model.symlink_to(tmp_path / "elsewhere.pkl")
    with pytest.raises(Invalid, match=r"model/model\.pkl cannot be read as a plain file"):
        entered(tmp_path / "bundle", digest).__enter__()


def test_a_named_pipe_in_the_bundle_does_not_hold_the_child_up(tmp_path):
    digest = write_pickled(tmp_path / "bundle", obedient_model())
    os.mkfifo(tmp_path / "bundle" / "model" / "pipe")
    with pytest.raises(Invalid, match="named pipe"):
        entered(tmp_path / "bundle", digest).__enter__()


def test_a_model_that_cannot_be_loaded_says_why(tmp_path):
    class NeedsMore:
        def __reduce__(self):
            return __import__, ("a_library_that_nobody_has",)

    digest = write_pickled(tmp_path / "bundle", NeedsMore())
    with pytest.raises(Invalid, match="a_library_that_nobody_has") as caught:
        entered(tmp_path / "bundle", digest).__enter__()
    assert "requirements.txt" in caught.value.hint


def test_a_model_that_fails_for_its_own_examples_is_refused(tmp_path):
    digest = write_pickled(tmp_path / "bundle", obedient_model(), [{"x": 1, "order": "poison"}])
    with pytest.raises(Invalid, match="example rows: ValueError: this row is poison"):
        entered(tmp_path / "bundle", digest).__enter__()


def test_a_model_that_does_not_load_in_time_is_ended(tmp_path):
    digest = write_pickled(tmp_path / "bundle", obedient_model(), [{"x": 1, "order": "hang"}])
    with pytest.raises(Unavailable, match="not loaded within"):
        entered(tmp_path / "bundle", digest, start_timeout_seconds=0.2).__enter__()


def test_a_child_whose_parent_is_not_the_one_it_was_told_ends_at_once(bundle, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    process = launch_model(bundle.folder, bundle.digest)
    assert process.socket.recv(1) == b""
    assert "exit code 1" in process.collect()


def test_a_model_that_writes_beside_its_files_does_not_spoil_the_bundle(tmp_path):
    class Scribbles:
        def predict(self, frame):
            import pathlib

            pathlib.Path("bundle/model/scribble").touch()
            return frame["x"].to_numpy()

    digest = write_pickled(tmp_path / "bundle", Scribbles())
    for _ in range(2):
        with entered(tmp_path / "bundle", digest) as scorer:
            assert scorer.predict_rows(rows(1)) == [{"value": 0.0}]


def entered(folder: Path, digest: str, **options):
    return GeneralScorer(folder, digest, SIGNATURE, **options)
