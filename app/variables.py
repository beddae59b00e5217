"""Every variable of the environment that is a setting: its name, where its value goes, and its line in the README."""

from dataclasses import dataclass
from pathlib import Path

from models.checkpoints.folders import ROOT

PREFIX = "SIGNCLIP_"


@dataclass(frozen=True)
class Setting:
    """One SIGNCLIP_* variable.

    Attributes:
        name: name of the variable, in lower case and without the prefix.
        meaning: its line in the README.
        part: the field of ServiceSettings that holds it, as "engine" or "search"; "": ServiceSettings itself.
        field: name of the field there; "": the same as `name`.
    """

    name: str
    meaning: str
    part: str = ""
    field: str = ""

    @property
    def variable(self) -> str:
        """Name of the variable in the environment."""
        return PREFIX + self.name.upper()

    @property
    def path(self) -> tuple[str, ...]:
        """Where ServiceSettings holds it."""
        field = self.field or self.name
        return (self.part, field) if self.part else (field,)

    def find_value(self, settings: object) -> object:
        """Find its value in a ServiceSettings; in one without arguments that is its default."""
        found = settings
        for name in self.path:
            found = getattr(found, name)
        return found


SETTINGS = (
    Setting("host", "address gunicorn listens on"),
    Setting("port", "port gunicorn listens on"),
    Setting("weights_dir", "folder that holds one folder of weights for each model", part="engine"),
    Setting(
        "default_model",
        "model that answers when a request names none; unset: `default` if its weights are there, "
        "else `fingerspelling`",
        part="engine",
    ),
    Setting("preload", "models to load at the start, separated by commas", part="engine"),
    Setting("max_loaded", "models kept in memory; the least recently used model is unloaded first", part="engine"),
    Setting(
        "device",
        "`auto`, `cpu`, `cuda`, `cuda:1`, or several GPUs, `cuda:0,cuda:1`, with one engine for each",
        field="devices",
    ),
    Setting(
        "dtype",
        "number format of the forward pass: `float32`, `bfloat16`, on CUDA also `tf32` or `float16`; "
        "`auto`: float16 on CUDA, float32 on CPUs",
        part="engine",
    ),
    Setting(
        "backend",
        "what runs the forward pass, `torch` or `openvino`; `auto`: OpenVINO on x86-64 CPUs, else torch",
        part="engine",
    ),
    Setting("threads", "CPU threads of a forward pass; unset: one for each core", part="engine"),
    Setting(
        "batch_ms", "milliseconds that one forward pass should take; unset: 250 on a CPU, 50 on a GPU", part="engine"
    ),
    Setting(
        "batch_tokens",
        "padded tokens and frames in one forward pass; unset: as many as take `SIGNCLIP_BATCH_MS`",
        part="engine",
    ),
    Setting(
        "engine_address",
        "`ipc://` addresses of running engines, separated by commas; unset: gunicorn starts its own "
        "engines, other servers run an engine in their own process",
    ),
    Setting("max_queue_items", "items that may wait for the model; more are answered 429", part="engine"),
    Setting("max_queue_tokens", "tokens and frames that may wait for the model; more are answered 429", part="engine"),
    Setting("text_cache_items", "texts whose vectors are kept for the next request; 0 keeps none", part="engine"),
    Setting(
        "video_workers",
        "processes that estimate poses of videos, 0.4 GB each; unset: one for each core",
        part="estimators",
        field="workers",
    ),
    Setting(
        "estimator_address",
        "socket of running estimators (`python -m video serve`); unset: gunicorn starts its own "
        "estimators, other servers run estimators under their own process",
    ),
    Setting(
        "max_queue_videos",
        "videos that may wait for a process; more are answered 429",
        part="estimators",
        field="max_waiting",
    ),
    Setting(
        "search_dir",
        "where collections are kept: a folder, a place in an object store, `s3://…`, `gs://…` or `az://…`, or a "
        "PostgreSQL database with pgvector, `postgresql://user@host/database`, which needs `requirements-postgres.txt`",
        part="search",
        field="dir",
    ),
    Setting(
        "engine_standby",
        "`1`: beside each engine a process stands by that has imported its libraries, so that a lost engine is back "
        "sooner; it takes up to 0.4 GB",
    ),
    Setting(
        "demo",
        "`1`: at the start gunicorn stores the letters of 19 alphabets in the collection `alphabets`; "
        "`make demo` installs what that needs. The image brings none of it: run `signclip dictionary demo --url URL` "
        "in a checkout",
    ),
    Setting(
        "search_maintain_s",
        "seconds between two looks for collections to compact and index; 0: another process does it",
        part="search",
        field="maintain_s",
    ),
    Setting(
        "search_keep_s", "seconds for which earlier versions of collections are kept", part="search", field="keep_s"
    ),
    Setting("max_videos", "videos in one request; more are answered 413"),
    Setting("max_video_bytes", "bytes of all videos of one request, before base64; more are answered 413"),
    Setting("max_video_s", "seconds that one video may last; longer videos are answered 422"),
    Setting("max_video_side", "pixels of a video's width or height; larger videos are answered 422"),
    Setting("max_video_requests", "requests with videos that one web worker handles at once; more are answered 429"),
    Setting("video_timeout_s", "seconds until a request with videos is answered 504"),
    Setting("timeout_s", "seconds until a request is answered 504"),
    Setting("max_requests", "requests with work to do that one web worker handles at once; more are answered 429"),
    Setting(
        "share_of_one_address",
        "share of the requests that one web worker handles at once which may come from one address; 1: all of them",
    ),
    Setting(
        "max_held_bytes",
        "bytes of memory for the bodies that one web worker holds at once, each counted twice; more are answered 429",
    ),
    Setting("max_body_bytes", "bytes of a request body, before and after decompression; more are answered 413"),
    Setting("max_items", "poses in one request, and texts beside them; more are answered 413"),
    Setting("max_texts", "texts in one request for texts alone; more are answered 413"),
    Setting("max_text_chars", "characters of one text; longer texts are answered 422"),
    Setting(
        "api_keys",
        "keys that open the API, separated by commas; when set, a request without "
        "`Authorization: Bearer KEY` or `X-API-Key: KEY` is answered 401",
    ),
    Setting(
        "api_keys_file",
        "file of keys, a line each: a name, the SHA-256 of the key, what it opens and its limits; written by "
        "`signclip keys`, and read again when it changes",
    ),
    Setting(
        "rate_limit",
        "requests of one key, or of one address without a key, as `600/minute` or `10/second;600/minute`; more are "
        "answered 429; unset: no limit",
    ),
    Setting("item_limit", "texts and clips of one key or address in a time, as `100000/hour`; unset: no limit"),
    Setting(
        "rate_store",
        "`redis://` address of a server that counts for several machines; unset: the workers of this service count "
        "together, in shared memory",
    ),
    Setting(
        "trusted_proxies",
        "addresses and networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, separated by "
        "commas; `unix`: whoever connects through a Unix socket; unset: nobody",
    ),
    Setting(
        "metrics_address",
        "`HOST:PORT` that answers `/metrics`, without a key, and nothing else does; unset: `SIGNCLIP_PORT` answers it, "
        "with a key of the scope `admin` where keys are needed",
    ),
    Setting(
        "traces",
        "where a collector takes OpenTelemetry traces as JSON, as `http://localhost:4318/v1/traces`; needs "
        "`requirements-tracing.txt`; unset: no traces",
    ),
    Setting(
        "cors_origins",
        "origins whose pages may call the API, separated by commas; `none` or empty: only pages of the service itself",
    ),
    Setting("log_level", "lowest level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`"),
)


def render_settings_table(defaults: object) -> str:
    """Render the settings as the README's Markdown table.

    Args:
        defaults: a ServiceSettings without arguments.
    """
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    rows += [f"| `{s.variable}` | {_show(s.find_value(defaults))} | {s.meaning} |" for s in SETTINGS]
    return "\n".join(rows)


def _show(default: object) -> str:
    if default is None or default == ():
        return "unset"
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, Path | str) and Path(default).is_relative_to(ROOT):
        default = Path(default).relative_to(ROOT)
    return f"`{default}`"
