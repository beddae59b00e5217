"""Following functions through processes: what counts, what does not, and in which order."""

import subprocess
import sys
from pathlib import Path

import pytest

from checks.scenarios import prepare_evaluation
from checks.walk import Tracer, Way, render, way_of

MODULES = {
    "hall/__init__.py": "",
    "hall/door.py": (
        "import threading\n"
        "from hall.lock import turn, watched\n"
        "class Door:\n"
        "    def open(self):\n"
        "        self.push()\n"
        "        thread = threading.Thread(target=turn)\n"
        "        thread.start()\n"
        "        thread.join()\n"
        "    def push(self):\n"
        "        return [x for x in (lambda: sorted([2, 1]))()]\n"
        "    @watched\n"
        "    def close(self):\n"
        "        self.push()\n"
    ),
    "hall/lock.py": (
        "def turn():\n    import hall.late\n    hall.late.click()\ndef watched(function):\n    return function\n"
    ),
    "hall/late.py": "def make():\n    return 1\nONE = make()\ndef click():\n    pass\n",
    "tests/guest.py": "def knock():\n    pass\n",
    "main.py": (
        "from hall.door import Door\nfrom tests.guest import knock\n"
        "def main():\n    knock()\n    Door().open()\n    Door().close()\nmain()\n"
    ),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path, text in MODULES.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_text(text)
    return tmp_path / "tree"


def test_named_functions_of_the_tree_are_followed_through_threads(tree: Path, tmp_path: Path) -> None:
    tracer = Tracer(tree, tmp_path)
    tracer.turn(2)
    subprocess.run([sys.executable, "main.py"], cwd=tree, env=tracer.environment, check=True)
    way = way_of(tracer.stop(), 2)
    assert way.steps == (
        ("main.py", "main"),
        ("hall/door.py", "Door.open"),
        ("hall/door.py", "Door.push"),
        ("hall/lock.py", "turn"),
        ("hall/late.py", "click"),
        ("hall/door.py", "Door.close"),
    )
    assert way.files == ("main.py", "hall/door.py", "hall/lock.py", "hall/late.py")
    assert (way.hops, way.deepest) == (5, 3)


def test_nothing_is_reported_before_the_switch_is_turned(tree: Path, tmp_path: Path) -> None:
    tracer = Tracer(tree, tmp_path)
    subprocess.run([sys.executable, "main.py"], cwd=tree, env=tracer.environment, check=True)
    assert tracer.stop() == []


def test_what_runs_anyway_is_no_part_of_a_way() -> None:
    lines = [
        {"turn": 1, "file": "a.py", "name": "tick", "callers": []},
        {"turn": 2, "file": "a.py", "name": "tick", "callers": []},
        {"turn": 2, "file": "a.py", "name": "answer", "callers": ["a.py"]},
        {"turn": 2, "file": "a.py", "name": "answer", "callers": []},
        {"turn": 3, "file": "a.py", "name": "other", "callers": []},
    ]
    assert way_of(lines, 2) == Way((("a.py", "answer"),), 1, 2)


def test_both_ways_are_drawn_with_their_lengths() -> None:
    before = Way((("a.py", "f"), ("a.py", "g"), ("b.py", "h")), 2, 3)
    after = Way((("a.py", "f"), ("b.py", "h"), ("a.py", "g")), 2, 2)
    page = render({"text": (before, after)})
    assert "| text | 3 → 3 | 2 → 2 | 2 → 2 | 2 → 2 | 3 → 2 |" in page
    assert "text, before</summary>\n\n```text\na.py: f, g; b.py: h\n```\n" in page
    assert "text, now</summary>\n\n```text\na.py: f; b.py: h; a.py: g\n```\n" in page


def test_a_checkout_is_evaluated_with_the_weights_that_ship_with_it(tmp_path: Path) -> None:
    """Weights of today do not fit the models of an earlier checkout."""
    shipped = tmp_path / "earlier" / "weights" / "fingerspelling"
    shipped.mkdir(parents=True)
    (shipped / "model.safetensors").write_bytes(b"of then")
    prepare_evaluation(tmp_path / "run", tmp_path / "earlier")
    copied = tmp_path / "run" / "weights" / "fingerspelling" / "model.safetensors"
    assert copied.read_bytes() == b"of then"
