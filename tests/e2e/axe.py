"""axe: what makes a page hard to use by keyboard, with a screen reader or with weak eyes."""

from __future__ import annotations

from collections.abc import Sequence

from axe_core_python.base import AXE_SCRIPT
from playwright.sync_api import Page

SERIOUS = ("serious", "critical")  # impacts
EVERY = ("minor", "moderate", *SERIOUS)


def run_axe(page: Page, impacts: Sequence[str] = EVERY) -> list[str]:
    """The violations of these impacts that axe reports."""
    page.evaluate(f"() => {{ {AXE_SCRIPT} }}")
    report = page.evaluate("async () => await axe.run()")
    return [
        f"{violation['id']}: {node['html'][:150]} {node['failureSummary']}"
        for violation in report["violations"]
        if violation["impact"] in impacts
        for node in violation["nodes"]
    ]
