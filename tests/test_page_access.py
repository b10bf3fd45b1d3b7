"""The page for everybody: by keyboard, read out, narrow and wide, in light and dark, and without anything jumping."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from browsing import ELECTION, OFF_TOPIC, OpenPage, ask, question_box
from playwright.sync_api import Page, expect

AXE = "axe-core@4.10.3"
AXE_SHA512 = "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg=="


@pytest.fixture(scope="session")
def axe(pytestconfig: pytest.Config) -> str:
    """The script of axe-core, fetched once by npm and never part of the repository."""
    packed = Path(pytestconfig.cache.mkdir("axe"), "axe-core-4.10.3.tgz") if pytestconfig.cache else Path()
    if not packed.is_file():
        if not shutil.which("npm"):
            pytest.fail("axe-core comes from npm, which is missing: install it, on Debian with 'apt-get install npm'")
        command = ["npm", "pack", AXE, "--silent", "--pack-destination", str(packed.parent)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    raw = packed.read_bytes()
    assert base64.b64encode(hashlib.sha512(raw).digest()).decode() == AXE_SHA512, f"{packed} is not {AXE}; delete it"
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script
        return script.read().decode()


def findings(page: Page, axe: str) -> list[str]:
    """What axe finds, all of it: rule, impact and the elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node.get('failureSummary')}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(url: str, open_page: OpenPage, axe: str, scheme: str) -> None:
    page = open_page(url, scheme=scheme)
    found = {"opening": findings(page, axe)}
    ask(page, ELECTION)
    ask(page, OFF_TOPIC)
    page.locator("#turn-2 .thumb.up").click()
    found["conversation"] = findings(page, axe)
    page.locator("#turn-1-marker-1").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found["document"] = findings(page, axe)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Library").click()
    expect(page.locator(".library table")).to_be_visible()
    found["library"] = findings(page, axe)
    assert not {place: lines for place, lines in found.items() if lines}


def test_the_question_is_reached_by_skipping_and_by_one_key(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    page.locator("body").click(position={"x": 5, "y": 300})
    page.keyboard.press("/")
    expect(question_box(page)).to_be_focused()
    expect(question_box(page)).to_have_value("")
    page.get_by_role("tab", name="Library").click()
    page.keyboard.press("/")
    expect(question_box(page)).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    skip = page.get_by_role("link", name="Skip to the question")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(question_box(page)).to_be_focused()


def test_an_answer_is_asked_for_and_checked_by_keyboard_alone(url: str, open_page: OpenPage) -> None:
    page = open_page(url)
    expect(question_box(page)).to_be_focused()
    page.keyboard.type(ELECTION)
    page.keyboard.press("Enter")
    expect(page.locator("#turn-1 .answer")).to_be_visible(timeout=60_000)
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.className") == "marker":
            break
    marker = page.locator("#turn-1 .marker").first
    expect(marker).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(marker).to_be_focused()


def test_the_colours_can_be_chosen_and_stay(url: str, open_page: OpenPage) -> None:
    page = open_page(url, scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    switch = page.locator("[data-theme-switch]")
    for name in ("Theme: light", "Theme: dark"):
        switch.click()
        expect(switch).to_have_text(name)
    dark = page.evaluate(paper)
    assert dark != light
    page.reload()
    expect(page.locator("[data-theme-switch]")).to_have_text("Theme: dark")
    assert page.evaluate(paper) == dark
    assert open_page(url, scheme="dark").evaluate(paper) == dark


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_is_wider_than_the_window(url: str, open_page: OpenPage, width: int) -> None:
    page = open_page(url, width=width)
    ask(page, ELECTION)
    ask(page, "w" * 300)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    talk, evidence = page.locator("#talk").bounding_box(), page.locator("#sources").bounding_box()
    assert talk
    assert evidence
    assert (evidence["x"] > talk["x"]) == (width == 1440), "evidence is beside the conversation, or below it"
    page.locator("#turn-1-marker-1").click()
    dialog = page.get_by_role("dialog").bounding_box()
    assert dialog
    assert 0 <= dialog["x"] <= dialog["x"] + dialog["width"] <= width
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Library").click()
    expect(page.get_by_role("button", name="Delete").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_jumps_while_an_answer_grows(url: str, open_page: OpenPage, width: int) -> None:
    page = open_page(url, width=width)
    ask(page, OFF_TOPIC)
    page.evaluate("""() => {
        window.shifts = [];
        new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((entry) => ({
            value: entry.value,
            of: entry.sources.map((source) => source.node?.id || source.node?.className),
        })))).observe({ type: "layout-shift" });
    }""")
    ask(page, ELECTION)
    page.wait_for_timeout(300)
    shifts = page.evaluate("window.shifts")
    assert sum(shift["value"] for shift in shifts) < 0.02, shifts  # 0.1 counts as good
