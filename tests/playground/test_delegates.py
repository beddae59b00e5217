"""What the estimator runs on is found out by timing: the faster one is kept, with the points that it found."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

# Two runners on a clock of the test's own: each says how long a picture takes it.
TRIAL = """async ([url, first_ms, second_ms, breaks]) => {
  const { keepFaster, TIMED_PICTURES } = await import(url);
  const clock = { now: 0 };
  const closed = [];
  const seen = [];
  const second = {
    delegate: "webgl",
    async estimate(picture, at) {
      if (breaks) throw new Error("no graphics");
      clock.now += second_ms;
      seen.push(at);
      return { from: "webgl" };
    },
    close: () => closed.push("webgl"),
  };
  const pictures = Array.from({ length: TIMED_PICTURES }, (_, number) => number);
  const kept = await keepFaster({
    first: { delegate: "cpu", close: () => closed.push("cpu") },
    first_ms: first_ms * (TIMED_PICTURES - 1),
    found: pictures.map(() => ({ from: "cpu" })),
    pictures,
    startSecond: async () => second,
    findTime_ms: (number) => number * 40,
    now: () => clock.now,
  });
  return { kept: kept.runner.delegate, from: kept.found.map(({ from }) => from), closed, seen };
}"""
RENDERER = """async ([url, name]) => {
  const { hasGraphicsCard } = await import(url);
  return hasGraphicsCard(name === null ? () => null : () => ({
    getExtension: () => ({ UNMASKED_RENDERER_WEBGL: 1 }), getParameter: () => name,
  }));
}"""


@pytest.fixture
def module(page: Page, service: str) -> str:
    """The address of the module under test, on a page that is open."""
    page.goto(service)
    files = re.search(r"playground/[0-9a-f]+/", page.content())
    assert files is not None
    return f"{service}/{files[0]}estimation/delegates.js"


@pytest.mark.parametrize(
    ("first_ms", "second_ms", "breaks", "kept"),
    [(150, 30, False, "webgl"), (150, 2000, False, "cpu"), (150, 150, False, "cpu"), (150, 1, True, "cpu")],
)
def test_the_faster_one_is_kept(page: Page, module: str, first_ms: int, second_ms: int, breaks: bool, kept: str):
    result = page.evaluate(TRIAL, [module, first_ms, second_ms, breaks])
    assert result["kept"] == kept
    assert set(result["from"]) == {kept}
    assert len(result["from"]) == 10
    assert result["closed"] == ["cpu" if kept == "webgl" else "webgl"]


def test_a_slow_one_is_given_up_early(page: Page, module: str):
    """After its first picture, which is not timed, one that takes longer than the other took for all is enough."""
    assert len(page.evaluate(TRIAL, [module, 150, 2000, False])["seen"]) == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ANGLE (NVIDIA, NVIDIA GeForce RTX 4070 Direct3D11)", True),
        ("Apple GPU", True),
        ("ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)))", False),
        ("llvmpipe (LLVM 15.0.6, 256 bits)", False),
        ("Microsoft Basic Render Driver", False),
        (None, False),
    ],
)
def test_graphics_that_are_emulated_are_not_tried(page: Page, module: str, name: str | None, expected: bool):
    assert page.evaluate(RENDERER, [module, name]) is expected
