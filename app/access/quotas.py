"""How much a key, or an address without one, may use: requests and items in a time, and wrong keys."""

import ipaddress
import math
from collections.abc import Iterator
from functools import lru_cache

from flask import Flask, Response, g, request
from limits import RateLimitItem, parse_many

from app.access.counts import Counts
from app.access.keyring import Key
from app.errors import QuotaExceededError
from app.settings import ServiceSettings
from app.telemetry import get_record

# Health checks and pages are free, because load balancers and people look at them often.
_FREE_BLUEPRINTS = ("health", "documentation", "playground")
# Wrong keys from one address. Nobody mistypes more, and at this rate 256 random bits are never guessed.
_GUESSES = next(iter(parse_many("20/minute")))


def get_address() -> str:
    """Return the address that a request came from. Of IPv6 that is the network of a customer, 64 bits."""
    return _name_address(request.remote_addr or "unknown")


@lru_cache(maxsize=4096)
def _name_address(given: str) -> str:
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return given
    if isinstance(address, ipaddress.IPv4Address):
        return given
    if address.ipv4_mapped is not None:  # a socket of IPv6 shows clients of IPv4 so, all of them in one network
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((given, 64), strict=False).network_address)


class Quotas:
    """The limits of a service.

    Args:
        settings: the limits that hold where a key has none of its own, and where the counts are kept.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._written = {"requests": settings.rate_limit, "items": settings.item_limit}
        store = settings.rate_store
        self._counts = Counts(store.get_secret_value() if store is not None else None)

    @property
    def hold_for_all(self) -> bool:
        """Whether there are limits for whoever has none of their own."""
        return any(self._written.values())

    def check(self, key: Key | None) -> None:
        """Count a request, and refuse it if the key or the address has used up its requests or items.

        Raises:
            QuotaExceededError: a limit is used up.
        """
        caller = _name_caller(key)
        for what, limit in self._list_limits(key):
            taken = self._counts.take(limit, f"{what}:{caller}") if what == "requests" else True
            reset_s, remaining = self._counts.measure(limit, f"{what}:{caller}")
            _note(limit, remaining=remaining, reset_s=reset_s)
            if not taken or (what == "items" and remaining <= 0):
                raise QuotaExceededError(
                    f"{limit.amount} {what} in {limit.get_expiry()} s are used up", retry_after_s=max(1.0, reset_s)
                )

    def charge(self, key: Key | None, caller: str, items: int) -> None:
        """Count the items of an answered request. One that began within its limit is answered whole."""
        for what, limit in self._list_limits(key):
            if what == "items" and items:
                _, remaining = self._counts.measure(limit, f"{what}:{caller}")
                if remaining:
                    self._counts.take(limit, f"{what}:{caller}", cost=min(items, remaining))

    def check_guesses(self, address: str) -> None:
        """Refuse an address that sent too many wrong keys, whatever it sends now.

        Raises:
            QuotaExceededError: it has sent too many.
        """
        reset_s, remaining = self._counts.measure(_GUESSES, f"guesses:{address}")
        if not remaining:
            raise QuotaExceededError("too many wrong keys came from this address", retry_after_s=max(1.0, reset_s))

    def count_guess(self, address: str) -> None:
        """Count a wrong key."""
        self._counts.take(_GUESSES, f"guesses:{address}")

    def _list_limits(self, key: Key | None) -> Iterator[tuple[str, RateLimitItem]]:
        own = {} if key is None else {"requests": key.rate_limit, "items": key.item_limit}
        for what, written in self._written.items():
            for limit in parse_many(own.get(what) or written or "") if own.get(what) or written else ():
                yield what, limit


def install(app: Flask, quotas: Quotas) -> None:
    """Hold every route but the free ones to the limits; call it after the keys are installed."""

    @app.before_request
    def check_quota() -> None:
        if request.method != "OPTIONS" and request.url_rule is not None and request.blueprint not in _FREE_BLUEPRINTS:
            quotas.check(g.get("key"))
            g.quota_checked = True

    @app.after_request
    def show_quota(response: Response) -> Response:
        if "quota" in g:
            limit, remaining, reset_s = g.quota
            response.headers["RateLimit-Policy"] = f"{limit.amount};w={limit.get_expiry()}"
            response.headers["RateLimit-Limit"] = str(limit.amount)
            response.headers["RateLimit-Remaining"] = str(max(0, remaining))
            response.headers["RateLimit-Reset"] = str(math.ceil(reset_s))
        if "quota_checked" in g:
            record, key, caller = get_record(), g.get("key"), _name_caller(g.get("key"))
            if response.is_streamed:  # how many items it had is known at its end, when the request is gone
                response.call_on_close(lambda: quotas.charge(key, caller, record.items or 0))
            else:
                quotas.charge(key, caller, record.items or 0)
        return response


def _name_caller(key: Key | None) -> str:
    return f"key:{key.name}" if key is not None else f"address:{get_address()}"


def _note(limit: RateLimitItem, *, remaining: int, reset_s: float) -> None:
    """Keep the limit of which the smallest share is left, for the answer's header."""
    if "quota" not in g or remaining / limit.amount < g.quota[1] / g.quota[0].amount:
        g.quota = (limit, remaining, reset_s)
