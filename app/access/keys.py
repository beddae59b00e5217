"""API keys: which routes ask for one, and whether a request carries a right one."""

import hashlib
import hmac

from flask import Flask, request

from app.errors import KeyRefusedError
from app.settings import Settings

# Health checks and pages that describe the service carry no key.
OPEN_BLUEPRINTS = ("health", "documentation")


def install(app: Flask, settings: Settings) -> None:
    """Ask for an API key on every route but the open ones, when keys are configured."""
    digests = [hashlib.sha256(key.get_secret_value().encode()).digest() for key in settings.api_keys]
    if not digests:
        return

    @app.before_request
    def check_key() -> None:
        if request.method == "OPTIONS" or request.blueprint in OPEN_BLUEPRINTS or request.url_rule is None:
            return
        given = hashlib.sha256(_given_key().encode("utf-8", "surrogateescape")).digest()
        # All digests are compared, each in constant time: neither the time nor the answer tells how near a guess is.
        if not sum(hmac.compare_digest(given, digest) for digest in digests):
            raise KeyRefusedError("send a key this server knows as Authorization: Bearer KEY, or as X-API-Key: KEY")


def _given_key() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
