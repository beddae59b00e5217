"""Sends the head of an answer together with a short body. Gunicorn makes two system calls, and two packets, of them."""

from gunicorn import util

from app.sending import PacedResponse

# Copying so little costs less than another system call.
_JOINED_BYTES = 64 * 1024


class JoinedResponse(PacedResponse):
    """An answer with a head that leaves with the first piece of its body."""

    headers_sent: bool
    _head = b""
    _is_writing = False

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
