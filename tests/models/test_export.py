"""The authors' layout: the names and shapes of a released file, and the same vectors when it is read back."""

import pytest
import torch

from models.catalog import ModelConfig
from models.checkpoints.authors import convert
from models.checkpoints.loading import load_model, write_safetensors
from models.errors import ExportError
from models.export import export, main
from tests import make_checkpoint
from tests.training.synthetic_pairs import MODEL, PairBatches, tiny_model
from training.runs.model_folder import write_config, write_weights

ABOUT = {"name": "tiny", "description": "x", "licence": "x", "source": "x"}


def _config(**changes):
    return ModelConfig.model_validate({**ABOUT, **MODEL, **changes})


def _exported(config, folder):
    write_weights(folder / "tiny", tiny_model(config), experiment="test")
    write_config(folder / "tiny", config)
    (folder / "tiny" / "tokenizer").mkdir()
    (folder / "tiny" / "tokenizer" / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n")
    export(config, folder / "tiny" / "model.safetensors", folder / "out.pt")
    return torch.load(folder / "out.pt", weights_only=True)


@pytest.mark.parametrize("changes", [{}, {"projection": "linear"}, {"convolutions": 2}], ids=str)
def test_layout_is_that_of_a_released_file(tmp_path, monkeypatch, changes):
    sizes = {"video_layers": 1, "text_layers": 1, "features": 12, "width": 16, "inner": 32}
    monkeypatch.setitem(make_checkpoint.ARCHITECTURES, "tiny", sizes | changes)
    released, written = make_checkpoint.build("tiny"), _exported(_config(**changes), tmp_path)
    assert written.keys() == released.keys()
    # Beside the tensors stands what fairseq reads of a run, with plain containers in the place of its classes.
    assert written["cfg"]["model"] == vars(released["cfg"]["model"])
    assert written["cfg"].keys() == released["cfg"].keys()
    (history,), (known,) = written["optimizer_history"], released["optimizer_history"]
    assert history.keys() == known.keys()
    assert history["lr_scheduler_state"] == known["lr_scheduler_state"]
    assert history["criterion_name"] == known["criterion_name"]
    assert (history["optimizer_name"], history["num_updates"]) == ("FairseqAdam", 0)  # as of a run in float32
    assert written["extra_state"].items() <= released["extra_state"].items()
    assert (written["args"], written["criterion"], written["task_state"]) == (None, None, {})
    assert written["model"].keys() == released["model"].keys()
    for name, tensor in released["model"].items():
        # Tiny models have fewer words and positions than the released ones.
        shape = [
            None if size in (make_checkpoint.VOCABULARY, make_checkpoint.POSITIONS) else size for size in tensor.shape
        ]
        found = written["model"][name]
        assert found.dtype == tensor.dtype
        assert [size if wanted else None for size, wanted in zip(found.shape, shape, strict=True)] == shape, name


@pytest.mark.parametrize("changes", [{}, {"projection": "linear_l2"}, {"convolutions": 2}], ids=str)
def test_read_back_it_is_the_same_model(tmp_path, changes):
    config = _config(**changes)
    _exported(config, tmp_path)
    convert(tmp_path / "out.pt", tmp_path / "back.safetensors", config)
    model, back = tiny_model(config).eval(), load_model(tmp_path / "back.safetensors", config)
    batch = PairBatches()[0]
    with torch.no_grad():
        poses = model.encode_pose(batch.pose_features, batch.frame_mask)
        texts = model.encode_text(batch.input_ids, batch.attention_mask)
        assert torch.equal(back.encode_pose(batch.pose_features, batch.frame_mask), poses)
        assert torch.equal(back.encode_text(batch.input_ids, batch.attention_mask), texts)


def test_from_the_command_line(tmp_path, capsys):
    _exported(_config(), tmp_path)
    assert main([str(tmp_path / "tiny"), str(tmp_path / "more" / "again.pt")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'more' / 'again.pt'} (0 MB)\n"
    assert (tmp_path / "more" / "again.pt").stat().st_size == pytest.approx(
        (tmp_path / "out.pt").stat().st_size, rel=0.01
    )


def test_its_help_names_what_it_needs(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python -m models.export [-h] [--version] FOLDER OUT.pt\n\nWrites a model")
    assert "mmmodel.…" in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"projection": "l2"}, "normalizes"), ({"pose_frontend": "hand_geometry", "feature_dim": 609}, "hand_geometry")],
)
def test_what_the_authors_code_cannot_compute_is_refused(tmp_path, changes, message):
    with pytest.raises(ExportError, match=message):
        _exported(_config(**changes), tmp_path)


def test_another_models_weights_are_refused(tmp_path, capsys):
    _exported(_config(), tmp_path)
    write_safetensors(tmp_path / "tiny" / "model.safetensors", {"stray": torch.zeros(1)}, {})
    assert main([str(tmp_path / "tiny"), str(tmp_path / "no.pt")]) == 1
    assert "does not fit the model" in capsys.readouterr().err
    assert not (tmp_path / "no.pt").exists()
