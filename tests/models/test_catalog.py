from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.catalog import CONFIGS, Catalog, load_catalog
from models.errors import CatalogError, UnknownModelError
from models.languages import read_languages

ROOT = Path(__file__).parents[2]
COMPLETE = "description: d\nlicence: l\nsource: s\n"
# The table of released checkpoints: Drive file, features, layers of the pose tower, frames, tokens, tokenizer.
RELEASED = {
    "default": ("1_B_VZMaLqY1nV6z9AokWU_G6LvOQLZFu", 609, 12, 256, 64, "bert-base-cased"),
    "asl_citizen": ("166aUSU5HkrMlpCkMNQF_rBLymX56P3fn", 609, 12, 256, 64, "bert-base-cased"),
    "asl_signs": ("1qst_2vt8zeNnmEEiONfkqa1ApMSgwU1t", 609, 12, 256, 64, "bert-base-cased"),
    "sem_lex": ("1Xun_2MQpyR6Ze2LuV1N_xMnTzRcts9Jv", 609, 12, 256, 64, "bert-base-cased"),
    "asl_finetune": (None, 609, 12, 256, 64, "bert-base-cased"),
    "suisse": (None, 609, 12, 256, 64, "bert-base-cased"),
    "fingerclip": (None, 63, 6, 256, 96, "bert-base-uncased"),
}
DRIVE_FOLDER = "10q7FxPlicrfwZn7_FgtNqKFDiAJi6CTc"


def test_every_released_checkpoint_is_described():
    catalog = load_catalog()
    for name, (drive_file, features, layers, frames, tokens, tokenizer) in RELEASED.items():
        config = catalog[name]
        assert config.download is not None
        assert config.download.drive_file == drive_file
        assert drive_file is not None or config.download.drive_folder == DRIVE_FOLDER
        assert (config.feature_dim, config.pose_tower.layers) == (features, layers)
        assert (config.max_frames, config.max_tokens, config.tokenizer) == (frames, tokens, tokenizer)
        assert (config.embed_dim, config.text_tower.layers, config.pose_tower.heads) == (768, 12, 12)
        assert (config.projection, config.convolutions, config.logit_scale) == ("none", 0, 1.0)
        assert not config.interpolates_positions
    assert set(catalog) == {*RELEASED, "default_long", "fingerclip_128", "fingerspelling", "suisse_long"}


def test_long_clips_share_the_weights_of_default():
    catalog = load_catalog()
    short, long = catalog["default"], catalog["default_long"]
    assert long.folder == short.folder == "default"
    assert (long.max_frames, long.interpolates_positions) == (2046, True)
    assert long.download == short.download
    assert not set(long.aliases) & set(short.aliases)


def test_long_clips_share_the_weights_of_suisse():
    catalog = load_catalog()
    short, long = catalog["suisse"], catalog["suisse_long"]
    assert long.folder == short.folder == "suisse"
    assert long.vector_fields == short.vector_fields | {"max_frames": 2046}
    assert (long.download, long.interpolates_positions) == (short.download, True)
    assert long.sign_languages == short.sign_languages
    assert long.spoken_languages == short.spoken_languages


def test_fingerclip_as_it_was_trained_shares_the_weights_of_fingerclip():
    catalog = load_catalog()
    served, trained = catalog["fingerclip"], catalog["fingerclip_128"]
    assert trained.folder == served.folder == "fingerclip"
    # [SEP] stands behind the last of max_frames positions, so the two give different vectors.
    assert trained.vector_fields == served.vector_fields | {"max_frames": 128}
    assert trained.download == served.download


def test_languages_of_every_model_are_in_the_table():
    for config in load_catalog().values():
        assert set(config.sign_languages or ()) <= set(read_languages()), config.name


def test_pieces_leave_room_for_what_the_stored_layout_holds():
    assert load_catalog()["default"].max_pieces == 61


def test_models_are_found_by_name_and_alias():
    catalog = load_catalog()
    for config in catalog.values():
        for name in (config.name, *config.aliases):
            assert catalog.resolve(name) is config
    assert list(catalog) == sorted(catalog)
    assert len(catalog) == len(list(CONFIGS.glob("*.yaml")))


def test_an_unknown_name_is_refused_with_the_nearest_and_all():
    with pytest.raises(
        UnknownModelError, match=r"no model 'defualt'. Did you mean 'default'\? Models: asl_citizen,"
    ) as e:
        load_catalog().resolve("defualt")
    assert "fingerspelling" in e.value.known
    with pytest.raises(UnknownModelError, match=r"no model '☃'. Models:"):
        load_catalog().resolve("☃")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A weights folder with a user's own model."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text(COMPLETE + "max_frames: 100\n")
    return tmp_path


def test_a_folder_with_a_configuration_is_a_model_of_its_name(own):
    (own / "no_model").mkdir()
    catalog = load_catalog(weights=own)
    assert catalog["mine"].max_frames == 100
    assert catalog["mine"].folder == "mine"
    assert set(catalog) - set(load_catalog()) == {"mine"}
    assert set(load_catalog(weights=own / "not_there")) == set(load_catalog())


def test_a_model_may_start_from_another(own):
    (own / "mine" / "config.yaml").write_text("base: default\nprojection: linear\n")
    catalog = load_catalog(weights=own)
    assert catalog["mine"].projection == "linear"
    assert catalog["mine"].aliases == ()
    assert catalog["mine"].sign_languages == catalog["default"].sign_languages
    # Its weights are the user's: nothing may offer to fetch the authors' into its folder.
    assert catalog["mine"].download is None
    assert catalog["default_long"].download == catalog["default"].download


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a mapping"),
        ("[1, 2]", "not a mapping"),
        ("a: b: c", "cannot be read"),
        ("!!python/object/apply:os.getcwd []", "cannot be read"),
        ("description: d\nlicence: l\n", "source: Field required"),
        (COMPLETE + "max_frame: 3\n", "max_frame: Extra inputs"),
        (COMPLETE + "max_frames: many\n", "max_frames: Input should be a valid integer"),
        (COMPLETE + "max_frames: 0\n", "max_frames: Input should be greater"),
        (COMPLETE + "max_frames: 100000\n", "max_frames: Input should be less"),
        (COMPLETE + "name: other\n", "name 'other' differs from the name of its file or folder, 'mine'"),
        (COMPLETE + "base: nothing\n", "base 'nothing' is not a model"),
        (COMPLETE + "base: default_long\n", "base 'default_long' is not a model, or starts from another base itself"),
        (COMPLETE + "aliases: [default]\n", "'default' names both"),
        (COMPLETE + "embed_dim: 32\n", "pose_tower.width is 768, embed_dim is 32"),
        (COMPLETE + "pose_tower: {heads: 7}\n", "768 is not a multiple of heads 7"),
        (COMPLETE + "max_tokens: 512\ntext_tower: {positions: 64}\n", "max_tokens 512 needs more than 64 positions"),
        (COMPLETE + "prompt: nothing\n", r"prompt must contain \{text\}"),
        (COMPLETE + "prompt: '{txet} {text}'\n", "prompt may name"),
        (COMPLETE + "prompt: '{} {text}'\n", "prompt may name"),
        (COMPLETE + "prompt: '{text.secret}'\n", r"prompt must contain \{text\}"),
        (COMPLETE + "prompt: '{text} {sign.secret}'\n", "prompt may name"),
        (COMPLETE + "prompt: '{text} {'\n", "prompt may name"),
        (COMPLETE + "projection: cubic\n", "projection: Input should be 'none', 'linear'"),
        (COMPLETE + "weights: ../../etc\n", "weights: String should match"),
        (COMPLETE + "tokenizer: ../../etc\n", "tokenizer: "),
        (COMPLETE + "tokenizer: a/../../etc\n", "tokenizer: "),
    ],
)
def test_a_configuration_that_describes_no_model_is_refused(own, text, message):
    (own / "mine" / "config.yaml").write_text(text)
    with pytest.raises(CatalogError, match=message):
        load_catalog(weights=own).resolve("mine")


def test_the_refusal_names_the_file(own):
    (own / "mine" / "config.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogError, match=r"mine/config.yaml cannot be read"):
        load_catalog(weights=own).resolve("mine")


@pytest.mark.parametrize("name", ["default", "fingerspelling"])
def test_a_folder_never_replaces_a_model_of_the_project(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.yaml").write_text(COMPLETE)
    catalog = load_catalog(weights=tmp_path)
    assert "rename its folder" in str(catalog.broken[name])
    assert catalog[name] == load_catalog()[name]


@pytest.mark.parametrize("name", ["-x", "a b", "ä", "x" * 65])
def test_a_folders_name_must_do_as_a_models(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.yaml").write_text(COMPLETE)
    with pytest.raises(CatalogError, match="name: String should"):
        load_catalog(weights=tmp_path).resolve(name)


@pytest.mark.parametrize(
    "content",
    [
        b"description: x\nfeat",
        b"\xff\xfe",
        b"[" * 10_000,
        b"base: [default]\n",
        b"base: other\n",
        b"1: 2\n",
        b"max_frames: 9" + b"9" * 5000,
        b"when: 2020-13-99\n",
        b"layers: !!int ''\n",
        b"#" * (1024 * 1024 + 1),
        COMPLETE.encode() + b"aliases: [fingerspelling]\n",
    ],
    ids=["half", "encoding", "depth", "base", "base's base", "keys", "digits", "date", "empty", "size", "alias"],
)
def test_a_broken_folder_is_left_out_and_harms_no_other_model(own, content):
    for name in ("broken", "other"):
        (own / name).mkdir()
        (own / name / "config.yaml").write_bytes(content)
    catalog = load_catalog(weights=own)
    assert set(catalog) == {*load_catalog(), "mine"}
    assert set(catalog.broken) == {"broken", "other"}
    assert load_catalog()["fingerspelling"] == catalog["fingerspelling"]
    with pytest.raises(CatalogError):
        catalog.resolve("broken")


def test_a_folder_whose_name_is_no_text_is_named_all_the_same(own):
    folder = os.fsencode(own) + b"/caf\xe9"
    os.mkdir(folder)
    shutil.copyfile(own / "mine" / "config.yaml", folder + b"/config.yaml")
    catalog = load_catalog(weights=own)
    assert set(catalog) == {*load_catalog(), "mine"}
    (name,) = catalog.broken
    assert name == "caf\\xe9"
    for text in (name, str(catalog.broken[name])):
        assert text.encode("utf-8").decode("utf-8") == text
    assert "rename it" in str(catalog.broken[name])


def test_a_pipe_for_a_configuration_stops_nobody(own):
    (own / "pipe").mkdir()
    os.mkfifo(own / "pipe" / "config.yaml")
    assert "no regular file" in str(load_catalog(weights=own).broken["pipe"])


def test_another_process_reads_the_catalog_as_it_was(own):
    (own / "broken").mkdir()
    (own / "broken" / "config.yaml").write_text("half")
    catalog = load_catalog(weights=own)
    read = Catalog.from_json(catalog.to_json())
    assert dict(read) == dict(catalog)
    assert str(read.broken["broken"]) == str(catalog.broken["broken"])
    assert read.resolve("mine") == catalog["mine"]


def test_two_models_of_one_alias_are_refused(tiny_model):
    config = tiny_model.config
    other = config.model_copy(update={"name": "other", "aliases": ("tiny",)})
    with pytest.raises(CatalogError, match="'tiny' names both 'tiny' and 'other'"):
        Catalog({"tiny": config, "other": other})


def test_the_catalog_needs_no_torch():
    """Web workers read it, and stay light."""
    program = "import sys; from models.catalog import load_catalog; load_catalog(); print('torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.strip() == "False"
