"""The page as a newcomer meets it: small, in two languages, with samples one click away."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.playground.steps import ask

# What is transferred before anybody has clicked, without the estimator.
MOST_BYTES = 200_000


def test_the_first_view_is_small(browser: Browser, service: str):
    """How long it takes, `python -m benchmarks.first_view` measures."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(service)
        page.locator("#samples button").first.wait_for()
        kinds = "['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))"
        sizes = page.evaluate(f"{kinds}.map((one) => one.encodedBodySize)")
    assert len(sizes) > 10
    assert sum(sizes) <= MOST_BYTES


def test_a_sample_is_one_click_away(page: Page, service: str):
    page.goto(service)
    page.get_by_role("button", name="the letter A of American Sign Language").click()
    expect(page.locator(".clips [aria-current=true]")).to_have_text("A (ase)")


def test_the_page_speaks_german_and_remembers_it(page: Page, service: str):
    page.goto(service)
    page.get_by_role("button", name="Auf Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("button", name="Kamera starten")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Kamera starten")).to_be_visible()


def test_languages_and_samples_have_german_names(page: Page, service: str):
    page.goto(service)
    page.get_by_role("button", name="Auf Deutsch").click()
    expect(page.locator("#samples")).to_contain_text("Deutsche Gebärdensprache")
    page.get_by_role("button", name="A, Amerikanische Gebärdensprache").click()
    languages = page.locator("#panel-letters .pickers select").first.locator("option")
    expect(languages).not_to_have_count(0)
    names = languages.all_text_contents()[1:]
    assert len(names) > 10
    assert not [name for name in names if "Gebärdensprache" not in name]
    assert names == sorted(names, key=lambda name: name.replace("Ö", "O"))


def test_every_sign_language_has_a_german_name(page: Page, service: str):
    """Of the languages that the service names; International Sign is called so in German too."""
    page.goto(service)
    page.get_by_role("button", name="Auf Deutsch").click()
    module = re.search(r"playground/[0-9a-f]+/", page.content())[0] + "sign_languages.js"  # type: ignore[index]
    script = (
        f"async (all) => {{ const {{ nameSignLanguage }} = await import('{service}/{module}');"
        " return all.map((one) => nameSignLanguage(one, { language: 'de' })); }"
    )
    languages = ask(f"{service}/api/languages")["languages"]
    assert [name for name in page.evaluate(script, languages) if "Sign" in name] == ["International Sign"]


def test_numbers_in_german_have_a_comma(page: Page, service: str):
    page.goto(service)
    page.get_by_role("button", name="Auf Deutsch").click()
    page.get_by_role("button", name="A, Deutsche Gebärdensprache").click()
    expect(page.get_by_label("Tempo").locator("option").first).to_have_text("0,25 ×")


def test_both_languages_have_every_text(page: Page, service: str):
    page.goto(service)
    module = re.search(r"playground/[0-9a-f]+/", page.content())[0] + "strings.js"  # type: ignore[index]
    texts = page.evaluate(f"async () => (await import('{service}/{module}')).STRINGS")
    assert texts.keys() == {"en", "de"}
    assert texts["en"].keys() == texts["de"].keys()
    for key, english in texts["en"].items():
        places = set(re.findall(r"\{\w+\}", english))
        assert places == set(re.findall(r"\{\w+\}", texts["de"][key])), key
        assert english.strip()
        assert texts["de"][key].strip()
