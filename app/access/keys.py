"""API keys: which routes need a key, and whether the key of a request is right."""

import hashlib
import hmac

from flask import Flask, request

from app.errors import KeyRefusedError
from app.settings import ServiceSettings

# Health checks, the pages that describe the service, and clips that anybody may have need no key.
OPEN_BLUEPRINTS = ("health", "documentation", "samples")


def install(app: Flask, settings: ServiceSettings) -> None:
    """Refuse requests without a right API key on every route but the open ones, when keys are configured."""
    digests = [hashlib.sha256(key.get_secret_value().encode()).digest() for key in settings.api_keys]
    if not digests:
        return

    @app.before_request
    def check_key() -> None:
        if request.method == "OPTIONS" or request.blueprint in OPEN_BLUEPRINTS or request.url_rule is None:
            return
        given = hashlib.sha256(_read_key().encode("utf-8", "surrogateescape")).digest()
        # All digests are compared, each in constant time: neither the time nor the answer reveals how near a guess is.
        if not sum(hmac.compare_digest(given, digest) for digest in digests):
            raise KeyRefusedError("send one of this server's keys as Authorization: Bearer KEY, or as X-API-Key: KEY")


def _read_key() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
