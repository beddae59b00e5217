"""Learning rates by hand, and what decays."""

import pytest
import torch
from torch import nn

from tests.training.synthetic_pairs import tiny_run
from training.optimization import build_optimizer, compute_learning_rate, find_schedule_faults
from training.sections.run import Optimizer


# 4 steps of warm-up, whose first moves nothing; of the 7 steps down from there, after 3 of them 4 are left.
@pytest.mark.parametrize(("step", "rate"), [(0, 0.0), (1, 0.5), (3, 1.5), (4, 2.0), (7, 2 * (4 / 7) ** 2), (50, 0.0)])
def test_polynomial_is_fairseqs(step, rate):
    settings = Optimizer(learning_rate=2.0, warmup=4, power=2.0, decay_steps=11)
    assert compute_learning_rate(step, 1000, settings=settings) == pytest.approx(rate)


def test_polynomial_ends_with_the_run_if_it_says_nothing_else():
    settings = Optimizer(learning_rate=1.0, warmup=0, decay_steps=None)
    assert [compute_learning_rate(step, 4, settings=settings) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]


def test_cosine_rises_from_the_first_step_on():
    settings = Optimizer(learning_rate=1.0, warmup=2, schedule="cosine")
    rates = [compute_learning_rate(step, 6, settings=settings) for step in range(6)]
    assert rates == pytest.approx([0.5, 0.9330127, 0.75, 0.5, 0.25, 0.0669873])


def test_constant_stays():
    settings = Optimizer(learning_rate=1.0, warmup=1, schedule="constant")
    assert [compute_learning_rate(step, 3, settings=settings) for step in range(3)] == [0.0, 1.0, 1.0]


def test_matrices_alone_decay_and_what_is_frozen_is_left_out():
    layers = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 3).requires_grad_(False))
    scale = nn.Parameter(torch.tensor(1.0))
    settings = Optimizer(weight_decay=0.3, betas=(0.8, 0.9), epsilon=1e-6)
    optimizer = build_optimizer([*layers.parameters(), scale], settings)
    decays = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    linear, norm, _ = layers
    undecayed = (linear.bias, norm.weight, norm.bias, scale)
    assert decays == {id(linear.weight): 0.3} | {id(parameter): 0.0 for parameter in undecayed}
    assert all((group["betas"], group["eps"]) == ((0.8, 0.9), 1e-6) for group in optimizer.param_groups)


FROZEN = {"tower": "pose", "steps": 40}


@pytest.mark.parametrize(
    ("optimizer", "freeze_after", "words"),
    [
        ({"warmup": 100}, None, ["optimizer.warmup is 100 steps, and the run has 100", "rises to 0.99 ", "warmup=10,"]),
        ({"warmup": 1000}, None, ["optimizer.warmup is 1000 steps, and the run has 100", "rises to 0.099 "]),
        ({"warmup": 1000, "schedule": "cosine"}, None, ["the run has 100", "rises to "]),
        ({"warmup": 40}, FROZEN, ["the stage before freeze_after has 40", "rises to 0.975 "]),
        ({"warmup": 60}, {"tower": "pose", "steps": 70}, ["that after it has 30", "rises to 0.483 "]),
        ({"warmup": 10, "decay_steps": 80}, None, ["optimizer.decay_steps is 80", "0 in the last 20,", "=null"]),
        ({"warmup": 60, "decay_steps": 50}, None, ["optimizer.decay_steps is 50", "0 in the last 39,"]),
        ({"warmup": 10}, {"tower": "pose", "steps": 100}, ["freeze_after.steps is 100, and the run has 100", "pose"]),
    ],
)
def test_a_schedule_that_does_not_fit_the_run_is_named(tmp_path, optimizer, freeze_after, words):
    run = tiny_run(tmp_path, optimizer={"learning_rate": 1.0, **optimizer}, freeze_after=freeze_after, steps=100)
    (fault,) = find_schedule_faults(run, 100)
    assert all(word in fault for word in words), fault


@pytest.mark.parametrize("optimizer", [{"warmup": 99}, {"warmup": 0}, {"decay_steps": 100}, {"decay_steps": None}])
def test_a_schedule_that_fits_the_run_is_not_named(tmp_path, optimizer):
    run = tiny_run(tmp_path, optimizer={"learning_rate": 1.0, **optimizer}, steps=100)
    assert not [*find_schedule_faults(run, 100)]
    rates = [compute_learning_rate(step, 100, settings=run.optimizer) for step in range(100)]
    assert max(rates) == 1.0
    assert rates[-1] > 0


@pytest.mark.parametrize(("warmup", "decay_steps", "end"), [(10, 80, 80), (60, 50, 61)])
def test_the_rate_is_0_where_a_warning_says_so(warmup, decay_steps, end):
    settings = Optimizer(learning_rate=1.0, warmup=warmup, decay_steps=decay_steps)
    rates = [compute_learning_rate(step, 100, settings=settings) for step in range(100)]
    assert [step for step in range(1, 100) if rates[step] == 0] == [*range(end, 100)]
