"""The pages of which cog writes a part are as their data and programs make them."""

import subprocess
import sys

import pytest

from tests.support import ROOT

PAGES = [path for path in sorted(ROOT.glob("*/*.md")) if "[[[cog" in path.read_text(encoding="utf-8")]


def test_these_pages_are_made():
    names = [path.relative_to(ROOT).as_posix() for path in PAGES]
    assert {"notebooks/COST.md", "docs/tested.md", "workshop/guide.md"} <= set(names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_is_as_it_is_made(path):
    command = [sys.executable, "-m", "cogapp", "--check", "--diff", path.relative_to(ROOT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"`make editions` writes it anew\n{done.stdout}{done.stderr}"
