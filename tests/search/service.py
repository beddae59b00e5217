"""A service whose models are fakes, as a process that prints its address and ends with its input.

`python -m tests.search.service PLACE WEIGHTS`
"""

from __future__ import annotations

import sys
from pathlib import Path

from app import create_app
from app.settings import ServiceSettings
from engine.settings import EngineSettings
from models.catalog import load_catalog
from models.status import ModelStatus
from search.settings import SearchSettings
from tests.app.conftest import DIGEST, FakeEngine
from tests.running import serving_in_thread


def serve(place: str, weights: Path) -> None:
    """Serve collections of a place until the input ends."""
    models = {name: ModelStatus(name, "loaded", digest=DIGEST) for name in load_catalog(weights=weights)}
    settings = ServiceSettings(
        engine=EngineSettings(weights_dir=weights, default_model="tiny"), search=SearchSettings(dir=place, maintain_s=0)
    )
    with serving_in_thread(create_app(settings, FakeEngine(models))) as address:
        print(address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
