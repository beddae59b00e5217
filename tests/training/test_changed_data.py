"""Data that change between two starts of a run: neither the batches nor the words of the model may change unnoticed."""

import pytest
import torch

from models.checkpoints.folders import TOKENIZER
from tests import miniatures
from training import __main__ as command
from training.experiment import EXPERIMENTS
from training.runs import files
from training.runs.state import STATE

TEXTS = ["house", "A1", "B2", "tree", "river", "cloud"]
HEADER = "path,text,spoken_language,sign_language,split"
TINY = "{layers: 1, width: 16, heads: 2, inner: 32}"


def _lay_out(folder, texts):
    rows = []
    for number, text in enumerate(texts):
        miniatures.place_pose(folder / "data" / "own" / f"{number}.pose", ("ase_A", "gsg_C")[number % 2])
        rows.append(f"{number}.pose,{text},en,ase,{'train' if number else 'val'}")
    miniatures.place_text(folder / "data" / "own" / "manifest.csv", HEADER, *rows)


def _train(folder, *options):
    places = [f"data.folder={folder / 'data'}", f"data.cache={folder / 'cache'}", f"output={folder / 'model'}"]
    model = ["model.size=null", "model.embed_dim=16", f"model.pose_tower={TINY}", f"model.text_tower={TINY}"]
    length = ["batch.size=3", "epochs=null", "steps=4", "save_every=1", "validation.every=1", "data.workers=0"]
    return command.main([str(EXPERIMENTS / "own_data_small.yaml"), *places, *model, *length, "--cpu", *options])


@pytest.fixture
def stopped(tmp_path, monkeypatch, capsys):
    """A run that was interrupted in the third of its four steps."""
    _lay_out(tmp_path, TEXTS)
    log_step = files.RunFiles.log_step

    def die(self, progress, learner, *, loss):
        log_step(self, progress, learner, loss=loss)
        if progress.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(files.RunFiles, "log_step", die)
        assert _train(tmp_path) == 130
    assert "interrupted; the same command goes on from the last saved state" in capsys.readouterr().err
    return tmp_path


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        # As many words and letters as before, so that every tensor would fit.
        ([*TEXTS[:-1], "could"], "5 clips for training then, 5 now, of which some have changed"),
        (TEXTS[:-1], "5 clips for training then, 4 now"),
        (["horse", *TEXTS[1:]], "1 clips for validation then, 1 now, of which some have changed"),
    ],
)
def test_a_run_does_not_go_on_with_other_data(stopped, capsys, texts, found):
    words = {path.name: path.read_bytes() for path in (stopped / "model" / TOKENIZER).iterdir()}
    _lay_out(stopped, texts)
    assert _train(stopped) == 1
    error = capsys.readouterr().err
    assert f"was made with other data: {found}. Bring the former data back" in error
    # The weights in the folder were trained on the former words.
    assert {path.name: path.read_bytes() for path in (stopped / "model" / TOKENIZER).iterdir()} == words
    _lay_out(stopped, TEXTS)
    assert _train(stopped) == 0
    _lay_out(stopped, texts)
    assert _train(stopped, "--restart") == 0


def test_an_interrupted_run_goes_on(stopped, capsys):
    assert _train(stopped) == 0
    assert "resuming after step 2 of 4" in capsys.readouterr().out


def test_a_state_without_its_data_goes_on(stopped):
    path = stopped / "model" / STATE
    state = torch.load(path, weights_only=True)
    del state["data"]  # as an earlier version wrote it
    torch.save(state, path)
    assert _train(stopped) == 0
