"""The OpenAPI document and its page agree with what the service does."""

from __future__ import annotations

import re
from pathlib import Path

import openapi_spec_validator
import pytest
from jsonschema import Draft202012Validator
from markupsafe import escape
from pydantic import SecretStr

from app.access.keys import find_scope
from app.error_table import ANSWERS, UNFORESEEN_CODE, list_error_lines
from app.reference import openapi
from app.reference.readme import render_errors_table

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json


def test_the_document_is_valid_openapi(document):
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


def test_every_route_is_described(client, document):
    undocumented = {"/", "/docs", "/openapi.json", "/playground/{version}/{path:name}"}
    routes = {rule.rule.replace("<", "{").replace(">", "}") for rule in client.application.url_map.iter_rules()}
    assert set(document["paths"]) == routes - undocumented


def test_every_key_is_described(document):
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(("Request", "Item")):
            assert all(field.get("description") for field in schema["properties"].values()), name
            assert schema["additionalProperties"] is False


def test_every_request_has_an_example_that_it_accepts(document):
    bodies = [operation.get("requestBody", {}) for path in document["paths"].values() for operation in path.values()]
    contents = [body["content"].get("application/json", {}).get("schema", {}) for body in bodies if body]
    names = {content["$ref"].rpartition("/")[2] for content in contents if "$ref" in content}
    assert len(names) > 10
    for name in sorted(names):
        schema = document["components"]["schemas"][name]
        if schema["properties"]:
            assert schema["examples"], name
            for example in schema["examples"]:
                assert example or not schema.get("required"), name
                assert not list(checker(document, f"#/components/schemas/{name}").iter_errors(example)), name


def checker(document, reference: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": reference, "components": document["components"]})


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "/api/embed/text", {"text": ["house", "x" * 20_000], "on_error": "skip", "sign_language": "ise"}),
        ("post", "/api/embed/text", {"text": "house", "encoding_format": "base64"}),
        ("post", "/api/embed/pose", {"pose": ["POSE", "!"], "on_error": "skip", "quality": True}),
        ("post", "/api/similarity", {"text": ["house", "sun"], "pose": "POSE", "sign_language": "ise"}),
        ("post", "/api/similarity", {"text": ["house", "sun"]}),
        ("post", "/api/pose/inspect", {"pose": "POSE"}),
        ("post", "/v1/embeddings", {"input": ["house"], "encoding_format": "base64"}),
        ("get", "/api/models", None),
        ("get", "/api/languages", None),
        ("get", "/healthz", None),
        ("get", "/readyz", None),
        ("put", "/api/collections/{name}", {}),
        ("get", "/api/collections/{name}", None),
        ("get", "/api/collections", None),
        ("post", "/api/collections/{name}/entries", {"entries": [{"text": "a"}, {"pose": "!"}], "on_error": "skip"}),
        ("get", "/api/collections/{name}/entries/{entry_id}", None),
        ("patch", "/api/collections/{name}/entries/{entry_id}", {"gloss": "HOUSE"}),
        ("post", "/api/collections/{name}/search", {"text": "house", "filter": {"gloss": "HOUSE"}}),
        ("post", "/api/search", {"pose": "POSE"}),
        ("delete", "/api/collections/{name}/entries/{entry_id}", None),
        ("delete", "/api/collections/{name}", None),
    ],
)
def test_requests_and_answers_are_as_described(client, document, pose_base64, method, path, body):
    def with_pose(value):
        if isinstance(value, list):
            return [with_pose(item) for item in value]
        return pose_base64 if value == "POSE" else value

    described = document["paths"][path][method]
    if body is not None:
        body = {key: with_pose(value) for key, value in body.items()}
        checker(document, described["requestBody"]["content"]["application/json"]["schema"]["$ref"]).validate(body)
    if "{name}" in path and method != "put":
        client.put("/api/collections/words", json={})
        client.post(
            "/api/collections/words/entries", json={"entries": [{"id": "a", "text": "house", "gloss": "HOUSE"}]}
        )
    path = path.replace("{name}", "words").replace("{entry_id}", "a")
    answer = client.open(path, method=method, json=body)
    assert answer.status_code == 200, answer.json
    reference = described["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    checker(document, reference).validate(answer.json)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/api/embed/text", {}, 422), ("/v1/embeddings", {}, 422), ("/api/embed/pose", {"pose": ["a"] * 9}, 413)],
)
def test_problems_are_as_described(client, document, path, body, status):
    described = document["paths"][path]["post"]["responses"][str(status)]["content"]["application/problem+json"]
    answer = client.post(path, json=body)
    assert answer.status_code == status
    checker(document, described["schema"]["$ref"]).validate(answer.json)


def test_keys_are_described_when_they_are_needed(make_client, document):
    assert "security" not in document
    guarded = make_client(api_keys=(SecretStr("right-key"),)).get("/openapi.json").json
    openapi_spec_validator.validate(guarded)
    assert guarded["security"] == [{"bearer": []}, {"header": []}]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("post", "/api/embed/text", "embed"),
        ("get", "/api/collections/{name}", "search_read"),
        ("post", "/api/collections/{name}/report", "search_read"),
        ("post", "/api/collections/{name}/fit", "search_write"),
    ],
)
def test_the_document_says_what_a_key_must_open(document, method, path, scope):
    assert document["paths"][path][method]["responses"]["403"]["description"].endswith(f"needs the scope {scope}")


def test_the_page_shows_every_route_and_loads_nothing(client, document):
    answer = client.get("/docs")
    page = answer.text
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", answer.headers["Content-Security-Policy"])[1]
    assert page.count(f'nonce="{nonce}"') == 2
    assert not re.search(r'(src|href|action)="(https?:)?//', page)
    assert "@import" not in page
    assert nonce not in client.get("/docs").text


def test_the_pages_examples_work(client):
    """Each example body without a clip is sent as it stands: first what creates, then what adds, then the others."""
    document = client.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    calls = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = schemas.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {}).get("examples", [])
            calls += [(method, path, example) for example in examples if not {"pose", "video"} & set(example)]
    assert len(calls) >= 6
    for method, path, example in sorted(calls, key=lambda call: (call[0] != "put", not call[1].endswith("entries"))):
        path = path.replace("{name}", "words").replace("{entry_id}", "house-1")
        if path.endswith("/report"):  # of clips, which no example holds
            clips = [{"id": f"clip-{number}", "gloss": "HOUSE", "vector": [1.0] * 32} for number in range(2)]
            assert client.post("/api/collections/words/entries", json={"entries": clips}).json["stored"] == 2
        assert client.open(path, method=method, json=example).status_code == 200, path


def test_readme_page_and_document_have_the_same_codes_and_each_once(client, document):
    codes = [code for line in list_error_lines() for code in line.codes]
    assert len(codes) == len(set(codes))
    assert {kind.code for kind in ANSWERS} | {UNFORESEEN_CODE, "pose_truncated", "checkpoint_mismatch"} <= set(codes)
    described = document["components"]["schemas"]["ProblemAnswer"]["properties"]["code"]["enum"]
    assert described == codes
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("<!-- errors -->") : readme.index("<!-- /errors -->")]
    assert table.strip().endswith(render_errors_table())
    page = client.get("/docs").text
    shown = page[page.index('id="errors"') :]
    for line in list_error_lines():
        cells = "".join(f"<code>{code}</code> " for code in line.codes)
        assert f"<td>{line.status}</td><td>{escape(line.title)}</td><td>{cells}</td>" in shown


def test_every_status_that_a_route_can_answer_has_its_meaning(document):
    titles = {line.status: [] for line in list_error_lines()}
    for line in list_error_lines():
        titles[line.status].append(line.title)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert ("401" in operation["responses"]) == ("403" in operation["responses"])
            for status, response in operation["responses"].items():
                if status not in ("200", "default"):
                    scope = f"this route needs the scope {find_scope(path, method.upper())}"
                    assert response["description"] == "; ".join(titles[int(status)] + [scope] * (status == "403"))


def test_limits_and_needs_of_a_request_stand_in_the_document(make_client):
    document = make_client(max_items=7, max_videos=3).get("/openapi.json").json
    schemas = document["components"]["schemas"]
    assert schemas["TextRequest"]["dependentRequired"] == {"spoken_language": ["sign_language"]}
    for path, key, most in (("/api/embed/pose", "pose", 7), ("/api/pose", "video", 3)):
        bodies = document["paths"][path]["post"]["requestBody"]["content"]
        assert bodies["multipart/form-data"]["schema"]["properties"][key]["maxItems"] == most
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]


def test_the_types_of_samples_stand_in_the_document(client, document):
    documented = document["paths"]["/samples/{name}"]["get"]["responses"]["200"]["content"]
    for sample in client.get("/samples").json["samples"]:
        assert client.get(f"/samples/{sample['name']}").mimetype in documented


def test_the_document_is_built_once_because_anybody_may_ask_for_it(client, monkeypatch):
    built = []
    build = openapi.build
    monkeypatch.setattr(openapi, "build", lambda app, **options: built.append(app) or build(app, **options))
    first = client.get("/openapi.json").json
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").json == first
    assert len(built) <= 1
