"""Files of other models that break while the service runs, and what the service was at its start."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

from tests.engine.fakes import until
from tests.running import running, tiny_settings


def test_broken_files_of_other_models_stop_nothing(tiny_weights: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny_weights, weights)
    settings = {**tiny_settings(tiny_weights), "SIGNCLIP_WEIGHTS_DIR": str(weights)}

    def put(name: str, file: str, content: bytes) -> None:
        (weights / name).mkdir(exist_ok=True)
        (weights / name / file).write_bytes(content)

    put("early", "config.yaml", b"description: x\nfeat")
    shutil.copytree(weights / "tiny", weights / "spoilt")
    nested = b'{"a":' + b"[" * 200_000
    put("spoilt", "model.safetensors", len(nested).to_bytes(8, "little") + nested)
    with running(tmp_path, settings) as service:

        def embeds() -> bool:
            return service.ask("/api/embed/text", {"text": "house"})[0] == 200

        def states() -> tuple[str, str]:
            found = {model["name"]: model["state"] for model in json.loads(service.ask("/api/models")[2])["models"]}
            return found["tiny"], found["spoilt"]

        until(service.ready)
        assert embeds()
        until(lambda: states() == ("loaded", "failed"))  # each web worker hears of a change by itself
        (engine,) = service.children("engine")
        put("late", "config.yaml", b"description: x\nfeat")
        shutil.copytree(weights / "tiny", weights / "new")  # whole, but the engine that runs does not know it
        shutil.copy(weights / "spoilt" / "model.safetensors", weights / "new")
        old = service.children()
        old[0].kill()
        until(lambda: old[0] not in service.children() and len(service.children()) == 2)
        assert all(service.ask("/api/models")[0] == 200 for _ in range(6))  # whichever worker answers
        service.process.send_signal(signal.SIGHUP)
        until(lambda: not set(old) & set(service.children()) and len(service.children()) == 2)
        assert engine in service.children("engine")
        engine.kill()
        until(lambda: service.children("engine") not in ([], [engine]) and service.ready() and embeds())
    assert "a model's configuration is wrong, so it is left out" in service.log.read_text()
