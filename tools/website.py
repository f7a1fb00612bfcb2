"""python -m tools.website: the series as web pages in docs/_build/pages, from what is committed; nothing is run.

The English pages are at the top, those of another language in a folder of its name. Languages are built side by side.
"""

import shutil
import subprocess
import sys

from tools import ROOT, TRANSLATIONS, links
from tools.pages import ENGLISH

BUILD = ROOT / "docs" / "_build"
PAGES = BUILD / "pages"


def sphinx(language):
    """Begin to build the pages of a language."""
    source = BUILD / "source" / language
    source.mkdir(parents=True)
    target = PAGES if language == ENGLISH else PAGES / language
    options = [
        "--quiet",
        "--fail-on-warning",
        "-c",
        "docs",
        "-D",
        f"language={language}",
        "-d",
        BUILD / "read" / language,
    ]
    return subprocess.Popen([sys.executable, "-m", "sphinx", *options, source, target], cwd=ROOT)


def main():
    shutil.rmtree(BUILD, ignore_errors=True)
    builds = [sphinx(language) for language in (ENGLISH, *TRANSLATIONS)]
    codes = [build.wait() for build in builds]
    if any(codes):
        sys.exit("site: the pages were not built, for the reason above")
    if faults := list(links.faults(PAGES)):
        sys.exit("\n".join(faults))
    print("== the site is in docs/_build/pages/index.html")


if __name__ == "__main__":
    main()
