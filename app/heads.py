"""The heads of requests: read without a thread until they are whole, and held to what HTTP says of them."""

from gunicorn.http.message import Request

from app.errors import HeadersTooLargeError, HttpVersionError, MalformedRequestError, TransferCodingError

# From the first byte of a head to its last; nginx gives 60 s, Apache 20 to 40.
HEAD_S = 10.0
# Of a head as a whole. nginx accepts 32 KiB.
HEAD_BYTES = 64 * 1024
PIECE_BYTES = 16 * 1024
_END = b"\r\n\r\n"


class Head:
    """What has arrived of the head of the next request of a connection."""

    def __init__(self, received: bytes = b"") -> None:
        self.received = bytearray()
        self._is_whole = False
        self._append(received)

    def is_whole(self) -> bool:
        """Check whether it can be parsed, be it to find out that it is no head.

        A line that ends in a line feed alone never ends the way it is read here.
        """
        return self._is_whole

    def add(self, piece: bytes) -> None:
        """Add what has arrived.

        Raises:
            HeadersTooLargeError: the head has more than HEAD_BYTES.
        """
        self._append(piece)
        if len(self.received) > HEAD_BYTES and not self._is_whole:
            raise HeadersTooLargeError(f"the request line and the header fields have more than {HEAD_BYTES} bytes")

    def take(self) -> bytes:
        """Give out what has arrived, and begin again."""
        taken, self.received, self._is_whole = bytes(self.received), bytearray(), False
        return taken

    def _append(self, piece: bytes) -> None:
        """Append a piece, and look at it alone: a client that sends byte by byte would have all read again for each."""
        known = len(self.received)
        self.received += piece
        ended = self.received.find(_END, max(0, known - len(_END) + 1)) >= 0
        lines, right_lines = self.received.count(b"\n", known), self.received.count(b"\r\n", max(0, known - 1))
        self._is_whole = self._is_whole or ended or lines != right_lines


def check(head: Request) -> None:
    """Check what gunicorn lets pass.

    Raises:
        MalformedRequestError: HTTP/1.1 without Host (RFC 9112, section 3.2).
        HttpVersionError: a version that does not exist.
        TransferCodingError: a body that is compressed on its way; gunicorn would hand it on as it is.
    """
    if head.version not in ((1, 0), (1, 1)):
        raise HttpVersionError("send HTTP/1.1 or HTTP/1.0")
    names = [name for name, _ in head.headers]
    if head.version == (1, 1) and "HOST" not in names:
        raise MalformedRequestError("HTTP/1.1 needs a Host field")
    for name, value in head.headers:
        if name == "TRANSFER-ENCODING" and value.strip().lower() != "chunked":
            raise TransferCodingError("send the body as it is, or with Transfer-Encoding: chunked")
