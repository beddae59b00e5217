"""The counts of the house: what passes a limit is found, and what merely looks like it is not."""

from pathlib import Path

import pytest

from checks.house import main, survey, table
from checks.sources import functions, read_modules


def place_room(root: Path, text: str, room: str = "hall") -> Path:
    (root / room).mkdir(exist_ok=True)
    (root / room / "__init__.py").write_text('"""A room."""\n')
    (root / room / "things.py").write_text(text)
    return root


def complaints_of(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(["--root", str(root)])
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1\n" * 301, "hall/things.py: 301 lines; at most 300"),
        ("def _long():\n" + "    x = 1\n" * 50, "hall/things.py:1 _long: 51 lines; at most 50"),
        ("def _many(a, b, c, d, e, f, *, g):\n    ...\n", "hall/things.py:1 _many: 7 parameters; at most 6"),
        ("def _many(a, b, c, d, e, *f, **g):\n    ...\n", "hall/things.py:1 _many: 7 parameters; at most 6"),
        (
            "class _Box:\n    @staticmethod\n    def fill(a, b, c, d, e, f, g):\n        ...\n",
            "_Box.fill: 7 parameters",
        ),
        ("def open():\n    ...\n", "hall/things.py:1 open has no docstring"),
        ("class Door:\n    def open(self):\n        ...\n", "hall/things.py:2 Door.open has no docstring"),
        ('def open():\n    """Open."""\n    raise OSError\n', "open does not name what it raises"),
        ('def open():\n    """Open."""\n    raise errors.LockedError("no key")\n', "open does not name what it raises"),
        ('def open():\n    """Open."""\n    raise refusal("no key")\n', "open does not name what it raises"),
        (
            "class Door:\n    '''A door.'''\n    def __init__(self):\n        raise OSError\n",
            "Door.__init__ does not name",
        ),
        ('def add(a: "np.ndarray"):\n    """Add."""\n', "add gives no shape of an array"),
        ('Floats = NDArray[float]\n\ndef add() -> list[Floats]:\n    """Add."""\n', "add gives no shape of an array"),
    ],
)
def test_what_falls_short_is_named(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = complaints_of(place_room(tmp_path, text), capsys)
    assert status == 1
    assert complaint in shown


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n" * 300,
        "@decorated\ndef _long():\n" + "    x = 1\n" * 49,
        "class _Box:\n    def fill(self, a, b, c, d, e, f):\n        ...\n",
        "def _hidden():\n    ...\n",
        "class _Hidden:\n    def open(self):\n        ...\n",
        'def open():\n    """Open."""\n    def inner():\n        raise OSError\n',
        'def open():\n    """Open."""\n    try:\n        f()\n    except OSError as error:\n        raise error\n',
        'def open():\n    """Open.\n\n    Raises:\n        OSError: locked.\n    """\n    raise OSError("locked")\n',
        'def open():\n    """Open."""\n    try:\n        f()\n    except OSError:\n        raise\n',
        "class BaseError(Exception):\n    ...\n\nclass LockedError(BaseError):\n    ...\n\n"
        'def open():\n    """Open, or raise BaseError."""\n    raise LockedError\n',
        "class Door:\n    '''A door; OSError if it is locked.'''\n    def __init__(self):\n        raise OSError\n",
        'class Door:\n    def open(self):\n        """Open."""\n\nclass Gate(Door):\n    def open(self): ...\n',
        'def add(a: "np.ndarray"):\n    """Add float32 (frames, 3)."""\n',
        'def add(a: Tensor):\n    """Add float32 (…, 2 * width)."""\n',
    ],
)
def test_what_is_within_the_limits_is_left_alone(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaints_of(place_room(tmp_path, text), capsys) == (0, "")


def test_a_bracket_around_words_is_no_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'def add(a: Tensor):\n    """Add (as the authors do, in place)."""\n'
    status, shown = complaints_of(place_room(tmp_path, text), capsys)
    assert status == 1
    assert "add gives no shape" in shown


def test_an_alias_of_arrays_counts_where_it_is_imported(tmp_path: Path) -> None:
    place_room(tmp_path, "Floats = NDArray[float]\nWords = list[str]\n", room="store")
    place_room(tmp_path, 'from store.things import Floats, Words\n\ndef add(a: Floats, b: Words):\n    """Add."""\n')
    assert survey(read_modules(tmp_path))["hall"].shares["shaped"].total == 1
    place_room(tmp_path, 'from store.things import Words\n\ndef add(b: Words):\n    """Add."""\n')
    assert survey(read_modules(tmp_path))["hall"].shares["shaped"].total == 0


def test_tests_are_held_to_lengths_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_things.py").write_text("def test_it(a, b, c, d, e, f, g):\n    raise OSError\n")
    assert complaints_of(tmp_path, capsys) == (0, "")
    (tmp_path / "tests" / "test_things.py").write_text("x = 1\n" * 301)
    assert complaints_of(tmp_path, capsys)[0] == 1


def test_functions_are_found_wherever_they_stand(tmp_path: Path) -> None:
    text = "if True:\n    def a():\n        class B:\n            def c(self): ...\n"
    text += "class D:\n    class E:\n        def f(self): ...\n"
    (module,) = [one for one in read_modules(place_room(tmp_path, text)) if one.name == "hall.things"]
    assert [(function.name, function.is_public) for function in functions(module)] == [
        ("a", True),
        ("a.B.c", False),
        ("D.E.f", True),
    ]


def test_what_a_script_installs_is_not_counted(tmp_path: Path) -> None:
    place_room(tmp_path, "x = 1\n")
    for folder in (".venv/lib", "clients/node_modules/package"):
        (tmp_path / "hall" / folder).mkdir(parents=True)
        (tmp_path / "hall" / folder / "far.py").write_text("no Python")
    assert [module.path for module in read_modules(tmp_path)] == ["hall/__init__.py", "hall/things.py"]


def test_the_table_has_a_line_for_each_room(tmp_path: Path) -> None:
    rooms = survey(read_modules(place_room(tmp_path, 'def open():\n    """Open."""\n')))
    _, line = table(rooms).splitlines()
    assert line.split() == ["hall", "2", "3", "2", "1", "2", "0", "100.0%", "of", "1", "-", "-"]
