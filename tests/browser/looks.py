"""What a finger and an eye need of a page: size, place, and nothing that moves under the hand."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page

# Links within a sentence are as high as their line (WCAG 2.5.8); all else must be met by a finger.
TOUCHED = "button, summary, select, input:not([type=hidden]), textarea, nav a, a.button, a.chip"
SMALL = """([touched, least]) => [...document.querySelectorAll(touched)]
  .filter(one => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length)
  .filter(one => !one.closest('.evidence, .finding, .settled'))
  .map(one => one.closest('label') || one)
  .filter(one => one.getBoundingClientRect().height < least - 0.5)
  .map(one => `${one.tagName} ${one.textContent.trim().slice(0, 30) || one.name}`
    + ` ${Math.round(one.getBoundingClientRect().height)}`)"""


def small(page: Page, least: int) -> list[str]:
    """Return what is to be touched and is lower than `least` CSS px."""
    found: list[str] = page.evaluate(SMALL, [TOUCHED, least])
    return found


def box(page: Page, selector: str) -> dict[str, float]:
    """Return the place of the first such element on the screen: x, y, width, height."""
    found: Any = page.locator(selector).first.bounding_box()
    assert found is not None, selector
    return {name: round(value) for name, value in found.items()}


def overlap(page: Page, one: str, other: str) -> bool:
    """Return whether two elements share a part of the screen."""
    a, b = box(page, one), box(page, other)
    return (
        a["x"] < b["x"] + b["width"]
        and b["x"] < a["x"] + a["width"]
        and a["y"] < b["y"] + b["height"]
        and b["y"] < a["y"] + a["height"]
    )


def is_wider(page: Page) -> bool:
    """Return whether the page must be pushed sideways to be read."""
    wider: bool = page.evaluate(
        "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wider


def sheets(page: Page) -> int:
    """Return on how many sheets of Letter paper the page prints."""
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", page.pdf(format="Letter")))
