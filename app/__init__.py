"""The HTTP layer: bytes in, JSON out. Servers find the application as `app:app`."""

import threading
from typing import Any

from flask import Flask

from app import launcher, telemetry, tracing
from app.access import keys, origins, page_headers, ports
from app.access import quotas as quotas_module
from app.access.proxies import TrustedProxies
from app.access.quotas import Quotas
from app.answers import problems
from app.application import Application
from app.routes import (
    classify,
    collections,
    documentation,
    embed,
    entries,
    health,
    metrics,
    models,
    openai,
    playground,
    pose,
    samples,
    score,
    search,
    similarity,
    spot,
    transfers,
)
from app.services import EXTENSION, Services
from app.settings import ServiceSettings, load_settings
from engine.interface import Engine
from models.catalog import Catalog
from processes.logs import configure_logging
from video.interface import Estimators

__all__ = ["create_app"]

_BLUEPRINTS = (
    embed.blueprint,
    similarity.blueprint,
    classify.blueprint,
    spot.blueprint,
    score.blueprint,
    pose.blueprint,
    collections.blueprint,
    entries.blueprint,
    transfers.blueprint,
    search.blueprint,
    models.blueprint,
    openai.blueprint,
    samples.blueprint,
    health.blueprint,
    metrics.blueprint,
    playground.blueprint,
    documentation.blueprint,
)
# Headers that pages from other origins may read.
_EXPOSED_HEADERS = (
    "X-Request-ID",
    "Server-Timing",
    "Retry-After",
    "RateLimit-Policy",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-SignCLIP-Model",
    "X-SignCLIP-Signature",
    "X-SignCLIP-Space",
    "X-SignCLIP-Trimmed",
    "X-SignCLIP-Video",
    "X-SignCLIP-Quality",
)


def create_app(
    settings: ServiceSettings | None = None,
    engine: Engine | None = None,
    estimators: Estimators | None = None,
    *,
    catalog: Catalog | None = None,
) -> Flask:
    """Build the application.

    Args:
        settings: None reads them from the environment.
        engine: None builds it, or a client of it, when it is first needed.
        estimators: None builds them, or a client of them, when they are first needed.
        catalog: the models; None reads their configurations.
    Raises:
        SettingsError: the environment is wrong, or it names a model that is not in the catalog.
        CatalogError: a model's configuration is wrong.
    """
    settings = settings if settings is not None else load_settings()
    application = Application(__name__)
    application.url_map.strict_slashes = False
    # Or `/api//models` would be redirected to an absolute address, which is another one behind a proxy.
    application.url_map.merge_slashes = False
    application.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    application.extensions[EXTENSION] = shared = Services(settings, engine, estimators, catalog=catalog)
    telemetry.install(application, shared.metrics, timeout_s=settings.timeout_s)
    application.extensions["traces"] = tracing.install(application, settings.traces)
    problems.install(application, settings.engine.weights_dir)
    page_headers.install(application)
    quotas = Quotas(settings)
    ports.install(application, settings.metrics_address)
    keys.install(application, shared.keyring, quotas, metrics_address=settings.metrics_address)
    if shared.keyring is not None or quotas.hold_for_all:  # a key may have limits of its own
        quotas_module.install(application, quotas)
    for blueprint in _BLUEPRINTS:
        application.register_blueprint(blueprint)
    origins.install(application, settings.cors_origins, exposed=_EXPOSED_HEADERS)
    if settings.trusted_proxies:
        application.wsgi_app = TrustedProxies(application.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    return application


_serving: list[Flask] = []
_lock = threading.Lock()


def __getattr__(name: str) -> Any:
    """Build `app.app` when a server asks for it: importing this package reads no settings and starts nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _lock:
        if not _serving:
            settings = load_settings()
            configure_logging(settings.log_level)
            _serving.append(create_app(settings, catalog=launcher.get_catalog()))
    return _serving[0]
