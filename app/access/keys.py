"""API keys: which routes need a key, and whether the key of a request is right and opens its route."""

from flask import Flask, g, request

from app.access.keyring import Key, Keyring, digest_key
from app.access.ports import is_metrics_port
from app.access.quotas import Quotas, get_address
from app.errors import KeyRefusedError, ScopeMissingError
from app.settings import ServiceSettings
from app.telemetry import get_record

# Health checks, the pages that describe and show the service, and clips that anybody may have need no key.
OPEN_BLUEPRINTS = ("health", "documentation", "playground", "samples")
# Routes of collections that change nothing, although they take a body.
_READING = ("/search", "/report")


def make_keyring(settings: ServiceSettings) -> Keyring | None:
    """Gather the keys that the settings name; None: the service needs none.

    Raises:
        KeysError: the keys file cannot be read or is empty.
    """
    named = settings.api_keys
    fixed = [Key(f"key{number}", digest_key(key.get_secret_value())) for number, key in enumerate(named, start=1)]
    if not fixed and settings.api_keys_file is None:
        return None
    return Keyring(fixed, settings.api_keys_file)


def install(app: Flask, keyring: Keyring | None, quotas: Quotas, *, metrics_address: str | None = None) -> None:
    """Refuse requests without a right API key on every route but the open ones, when there are keys."""
    if keyring is None:
        return

    @app.before_request
    def check_key() -> None:
        if request.method == "OPTIONS" or request.blueprint in OPEN_BLUEPRINTS or request.url_rule is None:
            return
        if is_metrics_port(metrics_address):  # whoever reaches that address may read the counters
            return
        quotas.check_guesses(get_address())
        given = _read_key()
        key = keyring.find(given)
        if key is None:
            if given:
                quotas.count_guess(get_address())
            raise KeyRefusedError("send one of this server's keys as Authorization: Bearer KEY, or as X-API-Key: KEY")
        g.key = key
        get_record().key = key.name
        require_scope(find_scope(request.url_rule.rule, request.method))


def require_scope(scope: str) -> None:
    """Check that the key of the request opens something; where no keys are needed, everything is open.

    Raises:
        ScopeMissingError: it does not.
    """
    key: Key | None = g.get("key")
    if key is not None and not key.opens(scope):
        raise ScopeMissingError(f"the key {key.name!r} does not open this; it needs the scope {scope}")


def find_scope(rule: str, method: str) -> str:
    """Find what a key must open for a route.

    Args:
        rule: the path of the route, as it is declared.
    """
    if rule.startswith(("/api/collections", "/api/search")):
        reads = method in ("GET", "HEAD") or rule.endswith(_READING)
        return "search_read" if reads else "search_write"
    return "admin" if rule == "/metrics" else "embed"


def _read_key() -> str:
    # WSGI hands header fields on as latin-1, whatever the client meant.
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
