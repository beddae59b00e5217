"""The application as servers find it: nothing heavy imported, nothing started before a fork."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, at the root of the project."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def test_a_web_worker_imports_neither_torch_nor_mediapipe(tiny_weights):
    program = """
import sys, threading
import app, wsgi, app.settings
before = set(sys.modules) & {"torch", "mediapipe", "av", "cv2", "transformers", "openvino", "tensorflow"}
client = wsgi.app.test_client()
assert wsgi.app is app.app
assert client.get("/healthz").status_code == client.get("/docs").status_code == 200
pose = open("tests/golden/poses/ase_A.pose", "rb").read()
raw = {"Content-Type": "application/octet-stream"}
assert client.post("/api/pose/inspect", data=pose, headers=raw).status_code == 200
assert client.post("/api/pose", data=b"no video", headers={"Content-Type": "video/mp4"}).status_code == 503
from models.catalog import ModelConfig
from poses import FeatureOptions, extract, read
extract(read(pose), "signclip", FeatureOptions(flip="always", anonymize=True))
after = set(sys.modules) & {"torch", "mediapipe", "av", "cv2", "transformers", "openvino", "tensorflow"}
print(sorted(before | after), threading.active_count())
"""
    environment = {"SIGNCLIP_WEIGHTS_DIR": str(tiny_weights), "SIGNCLIP_DEFAULT_MODEL": "tiny"}
    done = run(program, SIGNCLIP_ESTIMATOR_ADDRESS=str(tiny_weights / "nobody.sock"), **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[] 1"


def test_importing_reads_no_settings():
    done = run("import app; print(app.create_app)", SIGNCLIP_NONSENSE="1")
    assert done.returncode == 0, done.stderr


def test_wrong_settings_end_gunicorn_with_a_readable_message():
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "--check-config", "app:app"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "SIGNCLIP_PROT": "1", "SIGNCLIP_MAX_ITEMS": "many"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "there is no setting SIGNCLIP_PROT; did you mean SIGNCLIP_PORT?" in done.stderr
    assert "SIGNCLIP_MAX_ITEMS is 'many', but " in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_names_of_models_end_gunicorn_before_anything_starts(tiny_weights):
    environment = {"SIGNCLIP_WEIGHTS_DIR": str(tiny_weights), "SIGNCLIP_PRELOAD": "tinny"}
    done = run("import runpy; runpy.run_path('gunicorn.conf.py')", **environment)
    assert done.returncode == 1
    assert done.stderr.startswith("SIGNCLIP_PRELOAD: there is no model 'tinny'. Did you mean 'tiny'?")


@pytest.mark.parametrize("setting", ["SIGNCLIP_DEFAULT_MODEL", "SIGNCLIP_PRELOAD"])
def test_a_wrong_file_of_a_model_that_is_wanted_ends_gunicorn_with_its_name(tmp_path, setting):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("base: default\nmax_frame: 3\n")
    wanted = {"SIGNCLIP_WEIGHTS_DIR": str(tmp_path), setting: "mine"}
    done = run("import runpy; runpy.run_path('gunicorn.conf.py')", **wanted)
    assert done.returncode == 1
    assert "mine/config.yaml: max_frame: " in done.stderr
    assert "Traceback" not in done.stderr


def test_gunicorn_has_more_threads_than_it_admits_requests():
    program = """
import runpy
from app.settings import ServiceSettings
found = runpy.run_path("gunicorn.conf.py")
print(found["threads"] > ServiceSettings().max_requests, found["worker_connections"] > found["threads"])
print(found["worker_class"], found["timeout"], found["bind"])
"""
    done = run(program)
    assert done.stdout.split() == ["True", "True", "app.worker.Worker", "60", "0.0.0.0:3030"], done.stderr


@pytest.mark.parametrize(("given", "used"), [({}, "false"), ({"TOKENIZERS_PARALLELISM": "true"}, "true")])
def test_a_web_worker_cuts_texts_in_one_thread_unless_told_otherwise(given, used):
    program = "import os, runpy; runpy.run_path('gunicorn.conf.py'); print(os.environ['TOKENIZERS_PARALLELISM'])"
    assert run(program, **given).stdout.strip() == used


@pytest.mark.parametrize(
    ("host", "bind"), [("::", "[::]:3030"), ("[::1]", "[::1]:3030"), ("127.0.0.1", "127.0.0.1:3030")]
)
def test_gunicorn_listens_where_it_is_told(host, bind):
    program = "import runpy; print(runpy.run_path('gunicorn.conf.py')['bind'])"
    assert run(program, SIGNCLIP_HOST=host).stdout.strip() == bind


def test_the_engine_is_built_once_and_after_a_fork_again(app_settings, monkeypatch):
    from app import services
    from app.services import Services

    built: list[int] = []
    monkeypatch.setattr(services, "_build_engine", lambda settings: built.append(1) or object())
    shared = Services(app_settings)
    assert not built
    first = shared.engine
    assert shared.engine is first
    monkeypatch.setattr(services.os, "getpid", lambda: -1)
    assert shared.engine is not first
    assert len(built) == 2


def test_a_part_of_another_process_is_not_given_to_a_thread_that_looks_while_it_is_replaced():
    from app.services import _PerProcess

    class Overtaken(_PerProcess):
        """Another thread has built the part between the two looks of this one."""

        @property
        def _owner_pid(self):
            self._part = "built here"
            return os.getpid()

        @_owner_pid.setter
        def _owner_pid(self, pid):
            pass

    assert Overtaken(lambda: "built again", "built before the fork").get() == "built here"


def test_services_are_found_in_routes_alone_and_handed_down():
    """What stands below the routes names what it needs, so that it can be tested and moved without an application."""
    users = {
        str(path.relative_to(ROOT / "app"))
        for path in (ROOT / "app").rglob("*.py")
        if "get_services()" in path.read_text(encoding="utf-8") and path.name != "services.py"
    }
    assert "routes/models.py" in users
    assert {user for user in users if not user.startswith("routes/")} == {"access/admission.py"}
