"""The shipped model's page says what was measured."""

import json

import pytest

from models.checkpoints.folders import SHIPPED
from training.fingerspelling.card import BLOCKS, fill_page, main

FOLDER = SHIPPED / "fingerspelling"
METRICS = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))


def test_the_page_is_made_from_the_metrics():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert fill_page(page, METRICS) == page
    for name in ("dictionary", "protocol", "final", "webcam", "nothing"):
        assert f"<!-- {name} -->" in page
        assert name in BLOCKS


def test_a_block_is_replaced_and_the_rest_stays(tmp_path, capsys):
    (tmp_path / "README.md").write_text("before\n<!-- dictionary -->\nold\n<!-- /dictionary -->\nafter\n")
    (tmp_path / "results.json").write_text(json.dumps(METRICS))
    assert main([str(tmp_path)]) == 0
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert "old" not in lines
    found = METRICS["dictionary"]["own"]["text_to_pose"]
    assert f"| `<de> <gsg> A` | {found:.1f} |" in "\n".join(lines)
    assert "wrote" in capsys.readouterr().out


def test_what_was_not_measured_is_an_error(tmp_path, capsys):
    (tmp_path / "README.md").write_text("<!-- nothing -->\n<!-- /nothing -->\n")
    (tmp_path / "results.json").write_text("{}")
    assert main([str(tmp_path)]) == 1
    assert "has no 'nothing'" in capsys.readouterr().err
    assert main([str(tmp_path / "absent")]) == 1


@pytest.mark.parametrize("text", ["", '{"dictionary"', "[]", '{"dictionary": 3}', '{"dictionary": {"own": {}}}'])
def test_damaged_metrics_are_named(tmp_path, capsys, text):
    page = tmp_path / "README.md"
    page.write_text("<!-- dictionary -->\n<!-- /dictionary -->\n")
    (tmp_path / "results.json").write_text(text)
    assert main([str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'results.json'}")
    assert "measure" in error
    assert page.read_text() == "<!-- dictionary -->\n<!-- /dictionary -->\n"


@pytest.mark.parametrize("name", ["protocol", "final"])
def test_rows_that_were_not_measured_are_left_out(name):
    block = f"<!-- {name} -->\n<!-- /{name} -->\n"
    key = {"protocol": "protocol", "final": "final_partition"}[name]
    fewer = json.loads(json.dumps(METRICS))
    fewer[key]["rows"].pop("mirrored")
    assert "mirrored" in fill_page(block, METRICS)
    assert "mirrored" not in fill_page(block, fewer)
