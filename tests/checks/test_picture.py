"""The picture of the rooms: its counts are those of the imports, and a picture that differs is noticed."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from checks.layout import arrange
from checks.picture import PICTURE, count_imports, main, read_layers
from checks.sources import read_modules

CONTRACT = """
[[tool.importlinter.contracts]]
type = "layers"
layers = ["tools", "shop", "hall : yard | lane", "cellar"]
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house of six rooms, in which two files of the shop and one of the hall import the cellar."""
    (tmp_path / "pyproject.toml").write_text(CONTRACT)
    (tmp_path / "docs").mkdir()
    texts = {
        "tools/a.py": "import shop.a\n",
        "shop/a.py": "import cellar\nfrom cellar.b import c\nfrom hall import d\nimport os\n",
        "shop/b.py": "def f():\n    from cellar import b\n",
        "hall/a.py": "import cellar.b as b\nimport hall.b\n",
        "yard/a.py": "",
        "lane/a.py": "",
        "cellar/b.py": "",
        "tests/test_a.py": "import hall\n",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        if not path.startswith("tests"):
            (tmp_path / path).with_name("__init__.py").touch()
    return tmp_path


def test_files_that_import_a_room_are_counted_once(house: Path) -> None:
    assert count_imports(read_modules(house)) == {
        ("hall", "cellar"): 1,
        ("shop", "cellar"): 2,
        ("shop", "hall"): 1,
        ("tools", "shop"): 1,
    }


def test_layers_are_those_of_the_contract(house: Path) -> None:
    assert read_layers(house) == [["tools"], ["shop"], ["hall", "yard", "lane"], ["cellar"]]
    (house / "pyproject.toml").write_text("[tool.importlinter]\ncontracts = []\n")
    with pytest.raises(LookupError, match="layers"):
        read_layers(house)


def test_a_picture_that_differs_is_noticed(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["--root", str(house), "--check"]
    assert main(check) == 1
    assert main(["--root", str(house)]) == 0
    assert main(check) == 0
    (house / "yard" / "a.py").write_text("import cellar\n")
    capsys.readouterr()
    assert main(check) == 1
    assert "python -m checks.picture" in capsys.readouterr().err


def test_the_picture_has_a_box_for_each_room_and_an_arrow_for_each_import(house: Path) -> None:
    main(["--root", str(house)])
    text = (house / PICTURE).read_text()
    ElementTree.fromstring(text)
    for room in ("shop", "hall", "yard", "lane", "cellar"):
        assert text.count(f">{room}</text>") == 1
    assert "tools: shop 1" in text
    assert text.count("marker-end") == 3
    assert sorted(re.findall(r">(\d+)</text>", text)) == ["1", "1", "2"]


def test_an_import_against_the_layers_is_drawn_red(house: Path) -> None:
    (house / "cellar" / "b.py").write_text("import shop\n")
    main(["--root", str(house)])
    assert (house / PICTURE).read_text().count("#cc0000") == 1


def test_a_long_arrow_passes_beside_the_boxes_between() -> None:
    layers = [["a"], ["b", "c"], ["d"]]
    edges = [("a", "b"), ("a", "c"), ("a", "d"), ("b", "d"), ("c", "d")]
    layout = arrange(layers, edges, box_width=100, layer_height=80)
    (_, (x, y), _) = layout.paths["a", "d"]
    assert y == layout.centers["b"][1] == 80
    assert all(abs(x - layout.centers[box][0]) > 50 for box in ("b", "c"))
    assert abs(layout.centers["b"][0] - layout.centers["c"][0]) > 100


def test_boxes_are_ordered_so_that_arrows_do_not_cross() -> None:
    layout = arrange([["a", "b"], ["c", "d"]], [("a", "d"), ("b", "c")], box_width=100, layer_height=80)
    x = {name: center[0] for name, center in layout.centers.items()}
    assert (x["a"] < x["b"]) == (x["d"] < x["c"])
