"""What builds and checks committed files, handouts and the site: `python -m tools.NAME`, as `make` calls each."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
# The notebooks of the series; template.ipynb beside them shows their form.
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
TEMPLATE = "template.ipynb"
# The languages of the series besides English: each has a folder of catalogues.
TRANSLATIONS = sorted(path.parent.name for path in (ROOT / "translations").glob("*/README.po"))
