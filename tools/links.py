"""The links in the pages of the site that lead to no file there, or to no place in it.

Sphinx does so for the links in texts; this sees what themes and templates make, too. Addresses elsewhere are not asked.
"""

from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the places in it that a link can name."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                self.links.add(value)
            elif name in ("id", "name"):
                self.places.add(value)


def faults(folder):
    """What is wrong with the links of a folder's pages, one line each."""
    folder = folder.resolve()
    paths = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]  # the theme's templates
    pages = {path: Page(path) for path in paths}
    for path, page in pages.items():
        for link in sorted(page.links):
            address = urlsplit(link)
            if address.scheme or address.netloc:
                continue
            target = (path.parent / unquote(address.path)).resolve() if address.path else path
            place = unquote(address.fragment)
            if not target.is_relative_to(folder) or not target.is_file():
                yield f"{path.relative_to(folder)}: {link} is not there"
            elif place and target in pages and place not in pages[target].places:
                yield f"{path.relative_to(folder)}: {link}: there is no such place on that page"
