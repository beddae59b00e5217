"""Targets that are asked over HTTP: JSON, base64, forms, packed bodies, raw files, paths and headers."""

import base64
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import orjson

from benchmarks import inputs
from benchmarks.fuzzing.mutations import change_document, damage
from benchmarks.fuzzing.service import COLLECTION, DIM, pack, running_app, write_message
from benchmarks.fuzzing.targets import Make, Send, Target

_JSON = {"Content-Type": "application/json"}
_STREAM = {"Accept": "application/x-ndjson"}
_BOUNDARY = "cut-here"
_KEYS = (
    *("text", "pose", "video", "input", "query", "labels", "collection", "collections", "vector", "space", "entries"),
    *("model_name", "model", "sign_language", "spoken_language", "normalize", "encoding_format", "on_error", "flip"),
    *("truncate", "anonymize", "trim", "person", "quality", "min_seen", "return_pose", "allow_no_hands", "dimensions"),
    *("k", "filter", "min_score", "group_by", "mode", "shots", "method", "reject", "false_accept_rate", "threshold"),
    *("id", "gloss", "texts", "tags", "kind", "signature", "keep_pose", "reference_text", "reference_pose", "nearest"),
    *("user", "", "a/b", "~0", "\u202e", "__proto__", "constructor", "A" * 200),
)
# Of a route, and a document that it takes.
Example = tuple[str, str, Mapping[str, Any]]


def _list_examples() -> Sequence[Example]:
    clip = base64.b64encode(inputs.reduced_clips(1, 6)[0]).decode()
    video = base64.b64encode(b"GIF89a" + bytes(90)).decode()
    labels = {"labels": ["A", "B"], "sign_language": "ase"}
    named = f"/api/collections/{COLLECTION}"
    options = {"model_name": "fingerspelling", "normalize": False, "encoding_format": "base64", "on_error": "skip"}
    clips = {"flip": "auto", "anonymize": True, "trim": "auto", "person": 0, "truncate": True}
    return (
        ("POST", "/api/embed/text", {"text": ["A", "house"], "sign_language": "ase", "spoken_language": "en"}),
        ("POST", "/api/embed/text", {"text": "A", **options}),
        ("POST", "/api/embed/pose", {"pose": [clip, clip], "quality": True, **options, **clips}),
        ("POST", "/api/embed/video", {"video": video, "min_seen": 0.5, "return_pose": True, **options, **clips}),
        ("POST", "/api/pose", {"video": [video, video], "on_error": "skip"}),
        ("POST", "/api/pose/inspect", {"pose": clip, "person": 0}),
        ("POST", "/api/similarity", {"text": ["A", "B"], "pose": clip, "sign_language": "ase"}),
        ("POST", "/v1/embeddings", {"input": ["A"], "model": "fingerspelling", "dimensions": DIM, "user": "x"}),
        ("POST", "/api/classify", {"pose": [clip], **labels, "reject": False, "false_accept_rate": 0.1}),
        ("POST", "/api/classify", {"pose": clip, "collection": COLLECTION, "method": "prototype", "shots": 1}),
        ("POST", "/api/spot", {"pose": clip, "query": ["A", "B"], "sign_language": "ase", "threshold": 0.1}),
        ("POST", "/api/score", {"pose": [clip], "reference_text": ["A"], "sign_language": "ase"}),
        ("POST", "/api/score", {"pose": [clip], "reference_pose": [clip]}),
        ("POST", "/api/search", {"text": "A", "k": 3, "collections": [COLLECTION], "filter": {"gloss": ["A", "B"]}}),
        ("POST", f"{named}/search", {"vector": [0.1] * DIM, "k": 3, "min_score": 0.1, "group_by": "gloss"}),
        ("POST", f"{named}/search", {"text": "A", "filter": {"tags.signer": {"not": "anna"}}, "mode": "exact"}),
        ("POST", f"{named}/report", {"method": "prototype"}),
        ("POST", f"{named}/fit", {}),
        ("PATCH", f"{named}/entries/A", {"gloss": "B", "texts": ["b"], "tags": {"checked": True}}),
        ("PUT", f"/api/collections/{COLLECTION}", {"model_name": "fingerspelling"}),
        ("POST", f"{named}/entries", {"entries": [{"id": "A", "text": "A", "gloss": "A", "tags": {"n": 1}}]}),
    )


# These write to the disk, which takes as long as a hundred others.
_WRITES_FROM = -3


@contextmanager
def _open_json() -> Iterator[tuple[Make, Send]]:
    examples = _list_examples()

    def make(rng: random.Random) -> bytes:
        chosen = examples if rng.random() < 0.02 else examples[:_WRITES_FROM]
        method, path, document = rng.choice(chosen)
        headers = {**_JSON, **(_STREAM if rng.random() < 0.1 else {})}
        return write_message(method, path, headers, change_document(rng, document, keys=_KEYS))

    with running_app() as asked:
        yield make, asked.send


@contextmanager
def _open_base64() -> Iterator[tuple[Make, Send]]:
    clip = inputs.reduced_clips(1, 4)[0]
    good = base64.b64encode(clip)
    words = (
        b"=",
        b"====",
        b"\n",
        b"\r\n",
        b"-_",
        b"data:;base64,",
        b"data:video/mp4;base64,",
        b"%3D",
        b" ",
        b"\\u003d",
    )

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.4:
            text = base64.b64encode(damage(rng, clip))
        else:
            text = damage(rng, good if rng.random() < 0.5 else base64.urlsafe_b64encode(clip), words=words)
        route, key = rng.choice((("embed/pose", "pose"), ("pose/inspect", "pose"), ("embed/video", "video")))
        document = orjson.dumps({key: text.decode("latin-1")})
        if rng.random() < 0.1:
            vector = damage(rng, base64.b64encode(bytes(4 * DIM)), words=words).decode("latin-1")
            route, document = f"collections/{COLLECTION}/search", orjson.dumps({"vector": vector})
        return write_message("POST", f"/api/{route}", _JSON, document)

    with running_app() as asked:
        yield make, asked.send


@contextmanager
def _open_forms() -> Iterator[tuple[Make, Send]]:
    clips = inputs.reduced_clips(2, 3)
    field = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="normalize"\r\n\r\nfalse\r\n'.encode()
    whole = inputs.multipart([clip[:2000] for clip in clips], _BOUNDARY)
    seeds = [inputs.multipart(clips, _BOUNDARY), field + whole, whole, inputs.multipart([b"x", b"y"], _BOUNDARY)]
    mark = _BOUNDARY.encode()
    words = (
        *(b"--" + mark, b"\r\n--" + mark + b"--", b"\r\n\r\n", b"\n\n", b'name="pose"', b'filename="', b"filename*="),
        *(b"Content-Disposition: form-data", b"Content-Type: a/b; charset=utf-7", b"UTF-8''%00%ff", b'name=""', b"\0"),
        *(
            b"Content-Transfer-Encoding: base64\r\n",
            b'name="entries"\r\n\r\n[{"id":"A"}]',
            b"\r",
            b'filename="../../x"',
        ),
    )
    paths = ("/api/embed/pose", "/api/embed/video", "/api/pose", f"/api/collections/{COLLECTION}/search")

    def make(rng: random.Random) -> bytes:
        boundary = damage(rng, mark).decode("latin-1") if rng.random() < 0.05 else _BOUNDARY
        boundary = "".join(letter for letter in boundary if letter.isprintable())
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return write_message("POST", rng.choice(paths), headers, damage(rng, rng.choice(seeds), words=words))

    with running_app() as asked:
        yield make, asked.send


@contextmanager
def _open_packed() -> Iterator[tuple[Make, Send]]:
    plain = orjson.dumps({"text": ["A", "house"] * 5})
    clip = inputs.reduced_clips(1, 3)[0]

    def make(rng: random.Random) -> bytes:
        packing = rng.choice(("gzip", "zstd"))
        is_text = rng.random() < 0.7
        packed = damage(rng, pack(plain if is_text else clip, packing), others=(pack(plain, "gzip"),))
        if rng.random() < 0.2:
            packed = pack(damage(rng, plain), packing) * rng.randint(1, 3)
        kind = {"Content-Type": "application/json" if is_text else "application/octet-stream"}
        coding = (
            {"Content-Encoding": packing} if rng.random() < 0.9 else {"Content-Encoding": damage(rng, b"gzip").hex()}
        )
        return write_message("POST", "/api/embed/text" if is_text else "/api/embed/pose", kind | coding, packed)

    with running_app() as asked:
        yield make, asked.send


@contextmanager
def _open_heads() -> Iterator[tuple[Make, Send]]:
    """Paths, queries and headers around bodies that are good."""
    clip = inputs.reduced_clips(1, 3)[0]
    paths = [path for _, path, _ in _list_examples()] + [
        *("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/api/models", "/api/languages", "/v1/models/x"),
        *(f"/api/collections/{COLLECTION}/entries/A/preview.svg", "/api/collections", "/api/samples", "/"),
    ]
    names = ("Accept", "Content-Type", "X-Timeout-Ms", "X-Request-ID", "traceparent", "X-API-Key", "Authorization")
    words = (b"%00", b"%2e%2e%2f", b"../", b"//", b"?", b"&person=", b"normalize=", b"%ff", b"[]", b";q=", b"*/*", b",")

    def damage_text(rng: random.Random, text: str) -> str:
        # An environment of WSGI holds no control characters: the server's parser refuses them.
        changed = damage(rng, text.encode(), words=words).decode("latin-1")
        return "".join(letter for letter in changed if letter.isprintable())

    def make(rng: random.Random) -> bytes:
        path = rng.choice(paths)
        if rng.random() < 0.5:
            path = damage_text(rng, f"{path}?{rng.choice(_KEYS)}={rng.choice(('true', '-1', '[', '1e999', 'A' * 99))}")
        headers = {
            rng.choice(names): damage_text(rng, rng.choice(("application/json", "*/*", "1000", "gzip", "00-ab-cd-01")))
            for _ in range(rng.randint(1, 3))
        }
        method = rng.choice(("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"))
        return write_message(method, "/" + path.lstrip("/"), headers, rng.choice((b"", b"{}", b'{"text":"A"}', clip)))

    with running_app() as asked:
        yield make, asked.send


@contextmanager
def _open_raw(
    kind: str, path: str, content_type: str, seeds: Callable[[], Sequence[bytes]]
) -> Iterator[tuple[Make, Send]]:
    """Raw files of a kind, as the route at `path` takes them."""
    good = seeds()

    def make(rng: random.Random) -> bytes:
        data = damage(rng, rng.choice(good), words=(kind.encode(),), others=good)
        return write_message("POST", path, {"Content-Type": content_type}, data)

    with running_app() as asked:
        yield make, asked.send


def _write_tables() -> Sequence[bytes]:
    """Write Parquet files as imports take them."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"id": ["A", "B"], "vector": [[0.1] * DIM, [0.2] * DIM], "gloss": ["A", "B"]})
    files = []
    for compression in ("none", "snappy", "zstd"):
        target = io.BytesIO()
        pq.write_table(table, target, compression=compression)
        files.append(target.getvalue())
    return files


def _open_tables() -> AbstractContextManager[tuple[Make, Send]]:
    path = f"/api/collections/{COLLECTION}/entries:import"
    return _open_raw("PAR1", path, "application/vnd.apache.parquet", _write_tables)


TARGETS = (
    Target("json", 25, _open_json),
    Target("base64", 15, _open_base64),
    Target("forms", 15, _open_forms),
    Target("packed", 20, _open_packed),
    Target("heads", 15, _open_heads),
    Target("tables", 1, partial(_open_tables)),
)
