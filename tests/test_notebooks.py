"""The notebooks run from top to bottom against the service with the model that ships."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.running import serving_in_thread

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# What a notebook may import: Colab brings it, or the first cell installs it.
ALLOWED = {"IPython", "importlib", "matplotlib", "numpy", "pathlib", "pyarrow", "signclip_client", "tempfile"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service with the model that ships, with the real estimators, and with a store of its own."""
    from app import create_app
    from app.settings import ServiceSettings
    from engine.local import LocalEngine
    from engine.settings import EngineSettings
    from search.settings import SearchSettings
    from video.local import LocalEstimators
    from video.settings import EstimatorSettings

    settings = EngineSettings(default_model="fingerspelling", device="cpu", backend="torch", threads=1)
    videos = EstimatorSettings(workers=1)
    engine, estimators = LocalEngine(settings), LocalEstimators(videos)
    store = SearchSettings(dir=str(tmp_path_factory.mktemp("search")), maintain_s=0)
    application = create_app(ServiceSettings(engine=settings, estimators=videos, search=store), engine, estimators)
    with serving_in_thread(application) as address:
        yield address
    estimators.close()
    engine.close()


def test_there_are_two() -> None:
    assert [path.name for path in NOTEBOOKS] == ["few_shot.ipynb", "signclip.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert cell["metadata"] == {}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_need_the_client_alone(path: Path) -> None:
    lines = [
        line for cell in nbformat.read(path, 4).cells if cell.cell_type == "code" for line in cell.source.split("\n")
    ]
    imported = {line.split()[1].split(".")[0] for line in lines if line.strip().startswith(("import ", "from "))}
    assert imported <= ALLOWED


# The kernel's libraries announce changes of their own.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run(path: Path, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGNCLIP_CLIENT_URL", url)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "client"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(path, 4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = "".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )
    images = [
        output for cell in notebook.cells for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})
    ]
    assert "serves 'fingerspelling'" in shown
    if path.stem == "signclip":
        assert len(images) == 2
        assert "1. L (psr)" in shown
        assert "R@1" in shown
        assert list(tmp_path.rglob("vectors.parquet"))
    else:
        assert "threshold" in shown
        assert list(tmp_path.rglob("bank.npz"))
