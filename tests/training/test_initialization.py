"""The weights that training starts from."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForPreTraining

from models.errors import UnknownModelError
from tests.training.synthetic_pairs import MODEL, tiny_model, tiny_run
from training import initialization
from training.errors import InitializationError
from training.initialization import build_model, find_tokenizer
from training.runs.model_folder import copy_tokenizer, write_config, write_weights

TOKENIZER = {"vocab_size": 40, "cls_id": 2, "sep_id": 3}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A BERT folder as the hub has them: two layers, 40 words, 20 positions."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=20,
    )
    folder = tmp_path_factory.mktemp("bert")
    model = BertForPreTraining(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    model.save_pretrained(folder)
    # Released files call a norm's numbers gamma and beta, and hold what only pretraining needs.
    tensors = load_file(folder / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    return folder, model.bert.state_dict()


@pytest.fixture
def served(tmp_path):
    """A model's folder as training writes it."""
    run = tiny_run(tmp_path)
    folder = tmp_path / "known"
    write_config(folder, run.model.model_copy(update={"sign_languages": ("ase",), "logit_scale": 3.0}))
    write_weights(folder, tiny_model(run.model), experiment="test")
    (folder / "tokenizer").mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(chr(ord("a") + i) for i in range(26))]
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


def test_scratch_follows_from_the_seed(tmp_path):
    first, again, other = (build_model(tiny_run(tmp_path, seed=seed), **TOKENIZER).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_vocabulary_is_the_tokenizers(tmp_path):
    model = build_model(tiny_run(tmp_path), **{**TOKENIZER, "vocab_size": 33})
    assert model.config.text_tower.vocab_size == 33
    assert len(model.text_tower.bert.embeddings.word_embeddings.weight) == 33


def test_both_towers_start_from_bert(tmp_path, bert):
    folder, theirs = bert
    run = tiny_run(tmp_path, start={"text": str(folder), "pose": str(folder)})
    model = build_model(run, **TOKENIZER)
    for tower, length in ((model.text_tower, 12), (model.pose_tower, 12)):
        own = tower.bert.state_dict()
        for name, tensor in own.items():
            if "word_embeddings" in name:
                continue
            expected = theirs[name][:length] if "position_embeddings" in name else theirs[name]
            assert torch.equal(tensor, expected), name
    words = theirs["embeddings.word_embeddings.weight"]
    assert torch.equal(model.text_tower.bert.embeddings.word_embeddings.weight, words)
    assert torch.equal(model.pose_tower.bert.embeddings.word_embeddings.weight, words[[2, 3]])
    assert model.pose_tower.mlp.linear1.weight.std().item() == pytest.approx(0.02, rel=0.25)
    assert not model.pose_tower.mlp.linear1.bias.any()


def test_one_tower_may_start_from_bert_alone(tmp_path, bert):
    folder, theirs = bert
    model = build_model(tiny_run(tmp_path, start={"pose": str(folder)}), **TOKENIZER)
    scratch = build_model(tiny_run(tmp_path), **TOKENIZER)
    name = "encoder.layer.0.output.dense.weight"
    assert torch.equal(model.pose_tower.bert.state_dict()[name], theirs[name])
    assert torch.equal(model.text_tower.bert.state_dict()[name], scratch.text_tower.bert.state_dict()[name])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"pose_tower": {"layers": 3}}, "fewer layers than the tower"),
        ({"max_frames": 30, "pose_tower": {"positions": 32}}, "position_embeddings.weight is"),
        ({"pose_tower": {"inner": 64}}, "intermediate.dense.weight is"),
    ],
)
def test_a_bert_that_does_not_fit_is_named(tmp_path, bert, model, message):
    run = tiny_run(tmp_path, model=model, start={"pose": str(bert[0])})
    with pytest.raises(InitializationError, match=message):
        build_model(run, **TOKENIZER)


def test_a_bert_with_a_hole_is_named(tmp_path, bert):
    shutil.copytree(bert[0], tmp_path / "bert")
    tensors = load_file(tmp_path / "bert" / "model.safetensors")
    del tensors["bert.encoder.layer.1.attention.self.query.weight"]
    save_file(tensors, tmp_path / "bert" / "model.safetensors", metadata={"format": "pt"})
    run = tiny_run(tmp_path, start={"text": str(tmp_path / "bert")})
    with pytest.raises(InitializationError, match=r"1 tensors are missing, such as encoder\.layer\.1"):
        build_model(run, **TOKENIZER)


def test_a_missing_bert_is_named(tmp_path):
    run = tiny_run(tmp_path, start={"text": str(tmp_path / "nobert")})
    with pytest.raises(InitializationError, match="nobert holds no BERT"):
        build_model(run, **TOKENIZER)


def test_fine_tuning_starts_from_a_models_weights(tmp_path, served):
    run = tiny_run(tmp_path, start={"model": str(served)})
    tokenizer, folder = find_tokenizer(run)
    assert folder == served / "tokenizer"
    model = build_model(run, vocab_size=tokenizer.vocab_size, cls_id=tokenizer.cls_id, sep_id=tokenizer.sep_id)
    expected = tiny_model(tiny_run(tmp_path).model).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    # What the model is comes from it too, but for what this run changes; its scale is where learning would begin.
    assert (run.model.name, run.model.sign_languages, run.model.logit_scale) == ("tiny-run", ("ase",), 3.0)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"pose_tower": {"inner": 64}}, "does not fit the run's model"),
        ({"projection": "linear"}, "pose_projection.weight is missing"),
    ],
)
def test_a_model_that_does_not_fit_is_named(tmp_path, served, model, message):
    run = tiny_run(tmp_path, start={"model": str(served)}, model=model)
    with pytest.raises(InitializationError, match=message):
        build_model(run, **TOKENIZER)


def test_more_words_than_the_model_knows_are_refused(tmp_path, served):
    run = tiny_run(tmp_path, start={"model": str(served)})
    with pytest.raises(InitializationError, match="knows 40 word pieces, but the tokenizer has 41"):
        build_model(run, **{**TOKENIZER, "vocab_size": 41})


def test_unknown_models_are_refused(tmp_path):
    with pytest.raises(UnknownModelError):
        tiny_run(tmp_path, start={"model": "nobody"})
    with pytest.raises(UnknownModelError):
        tiny_run(tmp_path, model={"base": "nobody"})


def test_tokenizer_of_a_bert_folder(tmp_path, monkeypatch, served):
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(tmp_path / "none"))
    folder = tmp_path / "my-bert"
    copy_tokenizer(served / "tokenizer", folder)
    run = tiny_run(tmp_path, start={"text": str(folder / "tokenizer")})
    tokenizer, found = find_tokenizer(run)
    assert (found, tokenizer.vocab_size) == (folder / "tokenizer", 30)


def test_changes_to_a_catalogued_model(tmp_path):
    run = tiny_run(tmp_path, model={"base": "default", **MODEL, "text_tower": {"layers": 1}})
    assert (run.model.pose_tower.layers, run.model.text_tower.layers, run.model.text_tower.width) == (1, 1, 16)


def test_a_berts_own_tokenizer_comes_before_the_one_that_the_model_names(tmp_path, monkeypatch, served, bert):
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(tmp_path / "weights"))
    named = tmp_path / "weights" / "tokenizers" / "tiny"
    named.parent.mkdir(parents=True)
    shutil.copytree(served / "tokenizer", named)
    own = tmp_path / "own"
    shutil.copytree(bert[0], own)
    words = [*(served / "tokenizer" / "vocab.txt").read_text().split(), *map(str, range(10))]
    (own / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer, found = find_tokenizer(tiny_run(tmp_path, start={"text": str(own)}))
    assert (found, tokenizer.vocab_size) == (own, 40)
    # Without files of its own there is the named one, and whether it fits is checked where the weights are.
    assert find_tokenizer(tiny_run(tmp_path, start={"text": str(bert[0])}))[1] == named


def test_a_hub_berts_tokenizer_is_fetched_by_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGNCLIP_WEIGHTS_DIR", str(tmp_path))
    fetched = []

    def fetch(config, folder, *, force):
        fetched.append((config.tokenizer, folder))
        folder.mkdir(parents=True)
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n")

    monkeypatch.setattr(initialization, "fetch_tokenizer", fetch)
    find_tokenizer(tiny_run(tmp_path, start={"text": "bert-base-multilingual-cased"}))
    assert fetched == [("bert-base-multilingual-cased", tmp_path / "tokenizers" / "bert-base-multilingual-cased")]


@pytest.mark.parametrize("vocab_size", [41, 40 - 128])
def test_words_that_are_not_the_berts_are_refused(tmp_path, bert, vocab_size):
    run = tiny_run(tmp_path, start={"text": str(bert[0])})
    with pytest.raises(InitializationError, match="they do not belong together"):
        build_model(run, **{**TOKENIZER, "vocab_size": vocab_size})
