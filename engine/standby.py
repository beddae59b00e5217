"""A process that has imported what the next engine needs, and waits for the engine's arguments.

On a busy machine four fifths of the time until an engine is ready pass with imports (docs/reliability.md).
"""

import argparse
import json
import os
import select
import sys

from engine.settings import EngineSettings
from models.backends.choice import choose_device, import_backend
from models.checkpoints.folders import WeightsFolder
from models.errors import ModelsError
from models.registry import choose_default_model

# How often it checks whether its supervisor lives, in seconds.
_LOOK_S = 1.0


def wait_for_arguments(options: list[str]) -> list[str] | None:
    """Import the libraries of an engine, then wait for its arguments: a JSON list in one line of standard input.

    Args:
        options: --settings, which say whose libraries, and --parent, whose end ends the wait.
    Returns:
        The arguments of `python -m engine`; None: there will be none.
    Raises:
        SettingsError: a setting is wrong.
        SystemExit: an option is unknown or missing.
    """
    parser = argparse.ArgumentParser(prog="python -m engine --standby")
    parser.add_argument("--settings", required=True)
    parser.add_argument("--parent", type=int, required=True)
    given = parser.parse_args(options)
    _import_libraries(EngineSettings.from_json(given.settings))
    while os.getppid() == given.parent:
        if select.select([sys.stdin], [], [], _LOOK_S)[0]:
            line = sys.stdin.readline()
            return [str(argument) for argument in json.loads(line)] if line else None
    return None


def _import_libraries(settings: EngineSettings) -> None:
    import engine.local
    import engine.server  # noqa: F401

    try:
        catalog = settings.load_catalog()
        name = choose_default_model(catalog, WeightsFolder(settings.weights_dir), wanted=settings.default_model)
        import_backend(catalog.resolve(name), backend=settings.backend, device=choose_device(settings.device))
    except (ModelsError, OSError):  # the engine itself reports what is wrong
        return
