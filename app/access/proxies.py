"""Proxies that may say where a request came from. What anybody else says of it is ignored."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Whoever connects through a Unix socket; only processes of this machine can.
UNIX = "unix"


def read_networks(words: Sequence[str]) -> tuple[_Network, ...]:
    """Read addresses and networks.

    Raises:
        ValueError: a word is neither, nor UNIX.
    """
    return tuple(ipaddress.ip_network(word, strict=False) for word in words if word != UNIX)


def _read_address(word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Read an address of X-Forwarded-For, to which some proxies (Azure's, IIS) add the port of the client.

    Raises:
        ValueError: it is none.
    """
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    return ipaddress.ip_address(word)


class TrustedProxies:
    """A WSGI layer that reads X-Forwarded-For and X-Forwarded-Proto of proxies that are trusted.

    Args:
        application: what it stands before.
        words: addresses and networks of the proxies, and UNIX.
    """

    def __init__(self, application: "WSGIApplication", words: Sequence[str]) -> None:
        self._application = application
        self._networks = read_networks(words)
        self._trusts_unix = UNIX in words

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Hand a request on, with the address and the scheme that its client has."""
        if self._trusts(environ.get("REMOTE_ADDR", "")):
            environ["REMOTE_ADDR"] = self._find_client(environ)
            if environ.get("HTTP_X_FORWARDED_PROTO") in ("http", "https"):
                environ["wsgi.url_scheme"] = environ["HTTP_X_FORWARDED_PROTO"]
        return self._application(environ, start_response)

    def _find_client(self, environ: "WSGIEnvironment") -> str:
        """Find the last address that no trusted proxy has: what stands before it may be forged."""
        client = str(environ.get("REMOTE_ADDR", ""))
        for word in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            try:
                client = str(_read_address(word.strip()))
            except ValueError:
                break
            if not self._trusts(client):
                break
        return client

    def _trusts(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return self._trusts_unix  # gunicorn gives no address of a Unix socket
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)
