"""An uploaded model as files: a zip of an MLflow model's folder, or one stored object.

An archive is somebody else's: what it says about itself is checked, and what it unpacks to is counted.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from arkwright.core.errors import Invalid

OBJECT_SUFFIXES = (".joblib", ".pkl", ".pickle", ".skops")
MAX_FILES = 2000
_BLOCK_BYTES = 1 << 20
_ZIP = b"PK\x03\x04"


def unpack_model(upload: Path, filename: str, folder: Path, *, limit_bytes: int) -> None:
    """Put an uploaded model's files into an empty folder.

    Parameters
    ----------
    upload
        The received file.
    filename
        Its name, whose ending tells a stored object.
    limit_bytes
        Most bytes an archive may unpack to.

    Raises
    ------
    Invalid
        If it is neither, or an archive that is broken, too large, encrypted, or leads out of the folder.
    """
    suffix = PurePosixPath(filename.lower()).suffix
    if suffix in OBJECT_SUFFIXES:
        shutil.copyfile(upload, folder / f"model{suffix}")
        return
    with upload.open("rb") as file:
        begins = file.read(len(_ZIP))
    if begins != _ZIP:
        raise Invalid(
            f"{filename or 'The upload'!r} is neither a zip archive nor one of {', '.join(OBJECT_SUFFIXES)}.",
            code="import.not_a_model",
            hint="Upload a zip of the folder that mlflow.sklearn.save_model wrote, or one .skops or .joblib file.",
        )
    try:
        with zipfile.ZipFile(upload) as archive:
            _extract(archive, folder, limit_bytes)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise _refused(f"cannot be read: {error}") from error


def _extract(archive: zipfile.ZipFile, folder: Path, limit_bytes: int) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES:
        raise _refused(f"holds {len(entries):,} files, more than {MAX_FILES:,}")
    if sum(entry.file_size for entry in entries) > limit_bytes:
        raise _refused(f"unpacks to more than {limit_bytes:,} bytes")
    left = limit_bytes
    for entry in entries:
        target = folder / _checked(entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise _refused(f"holds {entry.filename!r} twice")
        # The sizes in its directory are only a claim: what comes out is counted.
        with archive.open(entry) as packed, target.open("xb") as file:
            while block := packed.read(_BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    raise _refused(f"unpacks to more than {limit_bytes:,} bytes")
                file.write(block)


def _checked(entry: zipfile.ZipInfo) -> str:
    name = entry.filename
    parts = PurePosixPath(name).parts
    inside = bool(parts) and not name.startswith("/") and ".." not in parts and not set("\\\0:") & set(name)
    if not inside or len(parts) > 20 or any(len(part) > 200 for part in parts):
        raise _refused(f"holds the path {name[:200]!r}, which leads out of its folder or is no plain path")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise _refused(f"holds the symbolic link {name[:200]!r}")
    if entry.flag_bits & 1:
        raise _refused("is encrypted")
    return name


def _refused(problem: str) -> Invalid:
    return Invalid(
        f"The archive {problem}.",
        code="import.archive",
        hint="Zip the model's own folder, with the MLmodel file in it, and nothing else.",
    )
