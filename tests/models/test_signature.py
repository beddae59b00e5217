from __future__ import annotations

import re

import pytest

from models.backends.choice import choose_dtype
from models.catalog import ModelConfig
from models.signature import compute_signature, compute_space

FACTS = {"digest": "ab" * 32, "dtype": "float32", "features_version": 1, "options": {"normalize": True}}


def test_a_signature_is_the_models_name_and_twelve_digits(tiny_model):
    assert re.fullmatch(r"tiny-[0-9a-f]{12}", compute_signature(tiny_model.config, **FACTS))


def test_equal_facts_give_equal_signatures(tiny_model):
    """Across processes and versions: vectors kept in a database are compared by it."""
    config = ModelConfig(name="tiny", description="d", licence="l", source="s")
    assert compute_signature(config, **FACTS) == "tiny-ed8b96533903"
    assert compute_signature(
        config.model_copy(update={"description": "other", "aliases": ("x",)}), **FACTS
    ) == compute_signature(config, **FACTS)
    one = compute_signature(config, **{**FACTS, "options": {"flip": "auto", "anonymize": True}})
    assert one == compute_signature(config, **{**FACTS, "options": {"anonymize": True, "flip": "auto"}})


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "cd" * 32},
        {"dtype": "bfloat16"},
        {"dtype": "float16"},
        {"dtype": "tf32"},
        {"features_version": 2},
        {"options": {}},
        {"options": {"normalize": False}},
        {"options": {"normalize": True, "flip": "always"}},
    ],
)
def test_whatever_moves_a_vector_changes_the_signature(tiny_model, change):
    assert compute_signature(tiny_model.config, **{**FACTS, **change}) != compute_signature(tiny_model.config, **FACTS)


def test_auto_signs_as_the_format_that_it_means(tiny_model):
    """`auto` means float16 on a GPU and float32 on a CPU, so vectors of the two do not mix unnoticed."""
    meant = {device: choose_dtype("auto", device) for device in ("cuda", "cuda:1", "cpu")}
    assert meant == {"cuda": "float16", "cuda:1": "float16", "cpu": "float32"}
    signatures = {
        device: compute_signature(tiny_model.config, **{**FACTS, "dtype": dtype}) for device, dtype in meant.items()
    }
    assert signatures["cuda"] == signatures["cuda:1"] != signatures["cpu"]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"features": "fingerclip"},
        {"max_frames": 63},
        {"max_tokens": 31},
        {"projection": "l2"},
        {"logit_scale": 2.0},
        {"lowercase": True},
        {"convolutions": 1},
        {"trim": "auto"},
    ],
)
def test_whatever_makes_another_model_changes_the_signature(tiny_model, change):
    other = tiny_model.config.model_copy(update=change)
    assert compute_signature(other, **FACTS) != compute_signature(tiny_model.config, **FACTS)


SPACE_FACTS = {"digest": FACTS["digest"], "features_version": FACTS["features_version"]}


def test_a_space_is_the_models_name_and_twelve_digits(tiny_model):
    assert re.fullmatch(r"tiny:[0-9a-f]{12}", compute_space(tiny_model.config, **SPACE_FACTS))


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"features": "fingerclip"}, {"projection": "l2"}, {"convolutions": 1}]
)
def test_whatever_makes_vectors_incomparable_changes_the_space(tiny_model, change):
    other = tiny_model.config.model_copy(update=change)
    assert compute_space(other, **SPACE_FACTS) != compute_space(tiny_model.config, **SPACE_FACTS)


@pytest.mark.parametrize("change", [{"digest": "cd" * 32}, {"features_version": 2}])
def test_another_checkpoint_and_other_features_are_another_space(tiny_model, change):
    config = tiny_model.config
    assert compute_space(config, **{**SPACE_FACTS, **change}) != compute_space(config, **SPACE_FACTS)


@pytest.mark.parametrize("change", [{"max_frames": 63}, {"max_tokens": 31}, {"logit_scale": 2.0}, {"trim": "auto"}])
def test_limits_and_scales_leave_the_space_alone(tiny_model, change):
    other = tiny_model.config.model_copy(update=change)
    assert compute_space(other, **SPACE_FACTS) == compute_space(tiny_model.config, **SPACE_FACTS)
