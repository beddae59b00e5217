"""What the package promises: every route and option, its settings, and nothing of this project inside."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import get_type_hints

import pytest

from app import create_app
from app.settings import ServiceSettings, load_settings
from signclip_client import AsyncClient, Client, Configuration, options, recognition_results, results, search_results

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "client" / "signclip_client"

# By route: the method, the class of its options and the class of its results.
ROUTES = {
    "post /api/embed/text": ("embed_text", options.TextOptions, results.Embeddings),
    "post /api/embed/pose": ("embed_pose", options.PoseOptions, results.Embeddings),
    "post /api/embed/video": ("embed_video", options.VideoOptions, results.Embeddings),
    "post /api/similarity": ("similarity", options.SimilarityOptions, results.Similarity),
    "post /api/pose": ("estimate_pose", options.EstimationOptions, results.Estimation),
    "post /api/pose/inspect": ("inspect_pose", options.InspectOptions, results.Inspection),
    "get /api/models": ("list_models", None, results.Models),
    "get /api/languages": ("list_languages", None, None),
    "post /api/classify": ("classify", options.ClassifyOptions, recognition_results.Classification),
    "post /api/spot": ("spot", options.SpotOptions, recognition_results.Spotted),
    "post /api/score": ("score", options.ScoreOptions, recognition_results.Score),
    "post /api/collections/{name}/report": (
        "report_on_collection",
        options.ReportOptions,
        recognition_results.BankReport,
    ),
    "post /api/collections/{name}/fit": ("fit_collection", None, recognition_results.FittedProbe),
    "put /api/collections/{name}": ("create_collection", options.CollectionOptions, search_results.Collection),
    "get /api/collections": ("list_collections", None, None),
    "get /api/collections/{name}": ("describe_collection", None, search_results.Collection),
    "delete /api/collections/{name}": ("delete_collection", None, None),
    "post /api/collections/{name}/entries": ("store_entries", options.EntryOptions, search_results.Stored),
    "get /api/collections/{name}/entries/{entry_id}": ("show_entry", None, search_results.Entry),
    "patch /api/collections/{name}/entries/{entry_id}": ("change_entry", options.EntryChanges, search_results.Entry),
    "delete /api/collections/{name}/entries/{entry_id}": ("delete_entry", None, None),
    "get /api/collections/{name}/entries/{entry_id}/preview.{kind}": ("fetch_preview", None, None),
    "post /api/collections/{name}/entries:import": ("import_entries", None, search_results.Stored),
    "get /api/collections/{name}/entries:export": ("export_entries", None, None),
    "post /api/collections/{name}/search": (
        "search_collection",
        options.CollectionSearchOptions,
        search_results.Hits,
    ),
    "post /api/search": ("search_collections", options.SearchOptions, search_results.Hits),
    "get /samples": ("list_samples", None, None),
    "get /samples/{name}": ("fetch_sample", None, None),
    "get /healthz": ("check_health", None, results.Health),
    "get /readyz": ("check_readiness", None, results.Readiness),
    "get /metrics": ("read_metrics", None, None),
}
# The same models and vectors in the shape of another product, for that product's own clients.
OF_OTHER_CLIENTS = {"post /v1/embeddings", "get /v1/models", "get /v1/models/{name}"}
# Keys of answers that results hold under another name, or in the shape of an array.
RENAMED = {"embeddings": "vectors", "dimensions": "vectors", "video": "videos", "pose": "poses"}
# Keys of requests that are no options: the items, and the number format, which is always base64.
NO_OPTIONS = {"text", "pose", "video", "vector", "entries", "reference_pose", "reference_text", "encoding_format"}


@pytest.fixture(scope="module")
def document(tiny_weights):
    from engine.settings import EngineSettings

    application = create_app(ServiceSettings(engine=EngineSettings(weights_dir=tiny_weights)))
    return application.test_client().get("/openapi.json").json


def test_every_route_has_a_method_in_both_clients(document):
    described = {f"{method} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described - OF_OTHER_CLIENTS == set(ROUTES)
    for method, _, _ in ROUTES.values():
        assert callable(getattr(Client, method))
        assert inspect.iscoroutinefunction(getattr(AsyncClient, method))


def test_both_clients_have_the_same_methods_with_the_same_parameters():
    def public(kind):
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(method)) for name, method in methods if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


@pytest.mark.parametrize("route", [route for route, (_, kind, _) in ROUTES.items() if kind])
def test_options_are_the_keys_of_the_request(document, route):
    method, path = route.split()
    content = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][content["$ref"].rsplit("/", 1)[1]]
    assert set(get_type_hints(ROUTES[route][1])) == set(schema["properties"]) - NO_OPTIONS


@pytest.mark.parametrize("route", [route for route, (_, _, kind) in ROUTES.items() if kind])
def test_results_hold_every_key_of_the_answer(document, route):
    method, path = route.split()
    content = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][content["$ref"].rsplit("/", 1)[1]]
    held = set(ROUTES[route][2].__dataclass_fields__)
    for key in schema["properties"]:
        assert key in held or RENAMED.get(key) in held, key


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ("ModelAnswer", results.Model),
        ("BrokenModelAnswer", results.BrokenModel),
        ("LanguageAnswer", results.Language),
        ("Quality", results.Quality),
        ("SampleAnswer", results.Sample),
        ("HitAnswer", search_results.Hit),
        ("ClassifiedClip", recognition_results.ClassifiedClip),
        ("NearExample", recognition_results.NearExample),
        ("ConfusedPair", recognition_results.ConfusedPair),
        ("FoundSign", recognition_results.FoundSign),
        ("PairScore", recognition_results.PairScore),
        ("CorpusMean", recognition_results.CorpusMean),
        ("VideoAnswer", results.VideoFacts),
        ("SkippedItem", results.SkippedItem),
        ("FailedItem", results.FailedItem),
        ("EstimatedPose", results.EstimatedPose),
    ],
)
def test_nested_results_are_those_of_the_service(document, schema, kind):
    assert set(kind.__dataclass_fields__) == set(document["components"]["schemas"][schema]["properties"])


@pytest.mark.parametrize("module", [results, search_results, recognition_results])
def test_results_cannot_be_changed(module):
    for kind in vars(module).values():
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            assert kind.__dataclass_params__.frozen, kind


def test_options_in_a_query_are_those_of_the_service(document):
    parameters = document["paths"]["/api/collections/{name}/entries:export"]["get"]["parameters"]
    named = {parameter["name"] for parameter in parameters if parameter["in"] == "query"}
    assert set(get_type_hints(options.ExportOptions)) == named


def test_an_entry_holds_every_key_that_the_service_takes(document):
    schema = document["components"]["schemas"]["EntryItem"]
    assert set(search_results.NewEntry.__dataclass_fields__) == set(schema["properties"])


def test_the_environment_names_service_key_model_and_patience():
    found = Configuration.from_env(
        {
            "SIGNCLIP_CLIENT_URL": "signs.example",
            "SIGNCLIP_CLIENT_API_KEY": "secret-key",
            "SIGNCLIP_CLIENT_MODEL": "suisse",
            "SIGNCLIP_CLIENT_TIMEOUT_S": "2.5",
        }
    )
    assert (found.base_url, found.api_key, found.model) == ("http://signs.example", "secret-key", "suisse")
    assert found.limits.timeout_s == 2.5
    assert "secret-key" not in repr(found)
    assert Configuration.from_env({}) == Configuration()
    for wrong in ("soon", "0", "-1"):
        with pytest.raises(ValueError, match="SIGNCLIP_CLIENT_TIMEOUT_S is "):
            Configuration.from_env({"SIGNCLIP_CLIENT_TIMEOUT_S": wrong})
    with Client.from_env({"SIGNCLIP_CLIENT_MODEL": "suisse"}) as client:
        assert client.configuration.model == "suisse"


def test_the_client_s_variables_do_not_stop_a_service_on_the_same_machine(monkeypatch):
    monkeypatch.setenv("SIGNCLIP_CLIENT_API_KEY", "secret-key")
    assert load_settings().api_keys == ()


def test_it_stands_on_two_libraries_alone():
    imported = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"httpx2", "numpy", "signclip_client"}
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sorted(name.split(">")[0] for name in project["dependencies"]) == ["httpx2", "numpy"]


def test_it_builds_as_a_typed_wheel(tmp_path):
    """From a copy, because a build leaves folders beside the sources."""
    copy = tmp_path / "client"
    for path in ((ROOT / "client") / name for name in ("pyproject.toml", "README.md", "LICENSE")):
        copy.mkdir(exist_ok=True)
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "signclip_client").mkdir()
    for path in PACKAGE.iterdir():
        if path.is_file():
            (copy / "signclip_client" / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(copy)], check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("signclip_client-*-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "signclip_client/py.typed" in names
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert "Requires-Python: >=3.11" in metadata
    # The MIT licence goes with every copy.
    licence = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("LICENSE")))
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert wheel.stat().st_size < 100_000
