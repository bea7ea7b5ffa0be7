"""A stream for the libraries of XLSX and Parquet, which can be abandoned.

Their writers end the file when they are dropped, in the middle of it too: to a disk that is full,
or a stream that is closed.
"""

import io
from typing import Any, BinaryIO

from aiocake.cli.destination import goes_on, refused


class Sink(io.RawIOBase):
    """A stream in front of another one.

    Args:
        stream: The other one.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: BinaryIO | None = stream
        # Positions in what is appended to are not those of the file.
        self._seekable = stream.seekable() and not goes_on(stream)
        self._at = 0

    def abandon(self) -> None:
        """Discard whatever is written from now on."""
        self._stream = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True if the other stream is, and begins where this one does."""
        return self._seekable

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever has bytes: 3.11 has no name for it
        """Write bytes, all of them.

        Raises:
            OutputError: They cannot be written.
        """
        count = memoryview(data).nbytes
        if self._stream is not None:
            with refused:
                self._stream.write(data)
        self._at += count
        return count

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        if not self._seekable:
            raise io.UnsupportedOperation("seek")
        self._at = self._stream.seek(offset, whence) if self._stream else offset
        return self._at

    def flush(self) -> None:
        """Do nothing: who owns the other stream flushes it."""
