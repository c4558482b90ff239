"""From a file's bytes to the plain UTF-8 bytes inside: gzip undone, other encodings turned into UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from typing import IO, TYPE_CHECKING

from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.core.units import format_bytes
from arkwright.data.formats import GZIP_MAGIC, HEAD_BYTES, PARQUET_MAGIC

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1 << 20
_QUOTE = b'"'


class PlainStream(io.RawIOBase):
    """The plain bytes of a file from its start, counted as they go by.

    Parameters
    ----------
    raw
        A seekable binary file; it is read from its beginning.
    encoding
        Text encoding of the content; None for UTF-8 (or binary).
    limit_bytes
        Most plain bytes to give; a small gzip file can hold an enormous one.

    Raises
    ------
    Invalid
        While reading: if the gzip data is damaged, or the content is not in ``encoding``.
    PayloadTooLarge
        While reading: past the limit.
    """

    def __init__(self, raw: IO[bytes], *, encoding: str | None = None, limit_bytes: int) -> None:
        super().__init__()
        raw.seek(0)
        compressed = raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        raw.seek(0)
        self._source: IO[bytes] = gzip.GzipFile(fileobj=raw) if compressed else raw  # type: ignore[assignment]
        self._decoder = _decoder(encoding) if encoding else None
        self._encoding = encoding or ""
        self._limit_bytes = limit_bytes
        self._pending = b""
        self._ended = False
        self.n_bytes = 0
        self.n_quotes = 0

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer with the next plain bytes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        while not self._pending and not self._ended:
            self._pending = self._next_chunk()
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count

    def _next_chunk(self) -> bytes:
        try:
            chunk = self._source.read(_CHUNK_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Invalid(
                f"The gzip data is damaged after {self.n_bytes:,} plain bytes: {error}.",
                code="dataset.gzip_damaged",
                hint="The upload or download was probably cut short; compress and send it again.",
            ) from error
        self._ended = not chunk
        if self._decoder is not None:
            chunk = self._recode(chunk)
        self.n_bytes += len(chunk)
        self.n_quotes += chunk.count(_QUOTE)
        if self.n_bytes > self._limit_bytes:
            raise PayloadTooLarge(
                f"The file holds more than {format_bytes(self._limit_bytes)} once unpacked.",
                code="dataset.too_large",
                hint="Split it, leave out columns, or raise ARKWRIGHT_MAX_UPLOAD_BYTES.",
            )
        return chunk

    def _recode(self, chunk: bytes) -> bytes:
        assert self._decoder is not None  # noqa: S101 - for the type checker
        try:
            return self._decoder.decode(chunk, final=self._ended).encode("utf-8")
        except UnicodeError as error:
            raise Invalid(
                f"The content is not {self._encoding} text: {error}.",
                code="dataset.encoding",
                hint="Declare the encoding the file really has, or save it as UTF-8.",
            ) from error


def plain_stream(raw: IO[bytes], *, encoding: str | None, limit_bytes: int) -> tuple[PlainStream, io.BufferedReader]:
    """Open a file's plain bytes from the start, with and without a buffer around them."""
    counted = PlainStream(raw, encoding=encoding, limit_bytes=limit_bytes)
    return counted, io.BufferedReader(counted, buffer_size=_CHUNK_BYTES)


def head_of(raw: IO[bytes], *, encoding: str | None, limit_bytes: int) -> bytes:
    """Return the first plain bytes of a file; Parquet is binary, whatever encoding was declared."""
    for attempt in (None, encoding) if encoding else (None,):
        stream = plain_stream(raw, encoding=attempt, limit_bytes=limit_bytes)[1]
        head = stream.read(HEAD_BYTES)
        if head.startswith(PARQUET_MAGIC):
            break
    return head


def locate_bad_utf8(stream: IO[bytes]) -> tuple[int, int, int] | None:
    r"""Find the first byte that is not UTF-8.

    Returns
    -------
    tuple or None
        Offset (from 0), line (from 1) and value of the byte; None if all is well.

    Examples
    --------
    >>> locate_bad_utf8(io.BytesIO(b"a,b\n1,caf\xe9\n"))
    (9, 2, 233)
    """
    offset, line, tail = 0, 1, b""
    while True:
        chunk = stream.read(_CHUNK_BYTES)
        data = tail + chunk
        try:
            text, consumed = codecs.utf_8_decode(data, "strict", not chunk)
        except UnicodeDecodeError as error:
            return offset + error.start, line + data.count(b"\n", 0, error.start), data[error.start]
        if not chunk:
            return None
        line += text.count("\n")
        offset += consumed
        tail = data[consumed:]


def refuse_bad_utf8(place: tuple[int, int, int]) -> Invalid:
    """Return the error for a byte that is not UTF-8."""
    offset, line, value = place
    return Invalid(
        f"Line {line:,} is not UTF-8 text: byte {offset:,} of the content is 0x{value:02X}.",
        code="dataset.encoding",
        hint="Save the file as UTF-8 (iconv -f CP1252 -t UTF-8 old.csv > new.csv), or declare what it is: "
        "encoding=cp1252 is usual for files from Windows (CLI: --encoding cp1252).",
    )


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        is_text = isinstance(decoder.decode(b"", final=True), str)
    except (LookupError, ValueError, TypeError):
        is_text = False
    if not is_text:
        raise Invalid(
            f"{encoding!r} is not a text encoding.",
            code="dataset.encoding_unknown",
            hint="Use a name such as utf-8, utf-16, cp1252 or latin-1.",
        )
    decoder.reset()
    return decoder
