"""Slides and sheet: what they show is that of the notebooks, and no page asks the network for anything."""

import re

import nbformat
import pytest

from tests.support import ROOT
from tools import TRANSLATIONS, editions, sheet, slides

LANGUAGES = {"en": ROOT / "workshop"} | {language: ROOT / language for language in TRANSLATIONS}


@pytest.fixture
def reveal(tmp_path):
    """A folder like that of reveal.js."""
    for name, text in {
        "reveal.js": "var Reveal = {initialize: function () {}}; // {{ braces }}",
        "reveal.css": ".reveal {}",
        "theme/simple.css": "@import url(https://fonts.example.com/a.css);\n.theme {}",
    }.items():
        path = tmp_path / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def asked(page):
    """All that a browser would load beside the page."""
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"(?!data:)([^\"]*)", page)
    return loaded + re.findall(r"@import[^;]*|url\(['\"]?(?!data:|#)[^)]*\)|\bfrom '[^']*'", page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_slides_are_one_file_with_a_slide_a_cell(language, reveal):
    path = LANGUAGES[language] / "slides.ipynb"
    page = slides.slides(reveal, path, language)
    assert asked(page) == []
    cells = nbformat.read(path, as_version=4).cells
    assert page.count("<section") == page.count("</section>") == 2 * len(cells)  # one a column, one a slide
    pictures = sum(cell.source.count("![") for cell in cells)
    assert len(re.findall(r'src="data:image/svg\+xml;base64,', page)) == pictures >= 5
    assert "{{ braces }}" in page and ".theme {}" in page and f'lang="{language}"' in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sheet_has_all_parameters_variables_and_folders(language):
    page = sheet.sheet(LANGUAGES[language] / "sheet.md", language)
    assert asked(page) == [] and 'src="data:image/svg+xml;base64,' in page
    parameters, variables = (sheet.rows(name) for name in ("parameters", "variables"))
    assert len({row[0] for row in parameters}) == 11 and len(variables) == 18
    for row in parameters + variables:
        assert f"<td><code>{row[0]}</code></td>" in page
    assert page.count("<tr>") >= len(parameters) + len(variables) + 3 and "{variables}" not in page


def test_the_commands_are_those_of_the_notebooks():
    notebooks = [nbformat.read(path, as_version=4) for path in editions.notebooks()]
    said = "\n".join(cell.source for notebook in notebooks for cell in notebook.cells)
    text = (ROOT / "workshop" / "sheet.md").read_text(encoding="utf-8").partition("## Commands")[2]
    commands = [command for command in re.findall(r"`([^`]*)`", text) if "(" in command]
    own = {  # an estimator of another name, and the configuration goes with the endpoint
        "est.latest_training_job.stop()": "latest_training_job.stop()",
        "predictor.delete_endpoint()": "predictor.delete_endpoint(delete_endpoint_config=False)",
    }
    assert len(commands) >= 10
    assert [command for command in commands if own.get(command, command) not in said] == []
