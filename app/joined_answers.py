"""Sends the head of an answer together with a short body. Gunicorn makes two system calls, and two packets, of them.

What is the same in most answers is checked and written once: constant header fields, and the date of each second.
"""

import time
from collections.abc import Iterable

from gunicorn import util

from app.sending import PacedResponse

# Copying so little costs less than another system call.
_JOINED_BYTES = 64 * 1024
# Header fields with few values. Others, such as the length and the id of a request, are checked each time.
_CONSTANT = frozenset(
    {
        "Content-Type",
        "X-Content-Type-Options",
        "Referrer-Policy",
        "X-Frame-Options",
        "Content-Security-Policy",
        "Access-Control-Allow-Origin",
        "Access-Control-Expose-Headers",
    }
)
# Values of these that are remembered, those of pages and of named origins among them.
_MOST_CHECKED = 256
_checked: set[tuple[str, str]] = set()


class _Dates:
    """The date of answers, written once a second. Threads that share it may write the same second twice."""

    _last: tuple[int, str] = (-1, "")

    def format(self) -> str:
        """Write the current second as HTTP does (RFC 9110, section 5.6.7)."""
        now = int(time.time())
        second, written = self._last
        if second != now:
            written = str(util.http_date(now))
            self._last = now, written
        return written


_dates = _Dates()


class JoinedResponse(PacedResponse):
    """An answer with a head that leaves with the first piece of its body."""

    headers_sent: bool
    _head = b""
    _is_writing = False

    def process_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Check header fields as gunicorn does, but a constant field only once."""
        for field in headers:
            if field in _checked:
                self.headers.append(field)
                continue
            super().process_headers([field])
            if field[0] in _CONSTANT and self.headers[-1] == field and len(_checked) < _MOST_CHECKED:
                _checked.add(field)

    def default_headers(self) -> list[str]:
        """List the lines that every answer begins with."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_dates.format()}\r\n",
            f"Connection: {connection}\r\n",
        ]
        return [*lines, "Transfer-Encoding: chunked\r\n"] if self.chunked else lines

    def write(self, arg: bytes) -> None:
        """Write a piece of the body, and before the first one the head."""
        self._is_writing = True
        super().write(arg)
        self._is_writing = False
        if self._head:  # the piece was empty, or the method allows no body
            self._send_head()

    def send_headers(self) -> None:
        """Send the head; while a piece of the body is written, keep it for that piece."""
        if self.headers_sent or not self._is_writing:
            super().send_headers()
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        self._head = "".join(lines).encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self._head and not self.chunked and len(data) <= _JOINED_BYTES:
            data, self._head = self._head + data, b""
        elif self._head:
            self._send_head()
        super()._emit_body(data)

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        util.write(self.sock, head)
