"""The site of the series, from the committed notebooks: https://www.sphinx-doc.org/en/master/usage/configuration.html

Each language is a site of its own, built with `-D language=ko`. The sources are laid out by pages.py as they are; their
links, and the tags that fold long logs, are made fit when Sphinx reads them, so a reader downloads what is committed.
"""

from pathlib import Path

from babel import Locale

from tools import editions, pages
from tools.search_ko import Korean

extensions = ["myst_nb", "sphinx_book_theme", "sphinx_copybutton"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "mailto": None, "edition": {"url": "{{path}}#{{fragment}}"}}
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme = "sphinx_book_theme"
html_theme_options = {
    "article_header_end": ["languages.html", "article-header-buttons.html"],
    "footer_content_items": [],
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the field for a search stands in the sidebar
    "use_fullscreen_button": False,
}
html_sourcelink_suffix = ""  # a notebook's download has its name
html_use_index = False


def tree(names, *options):
    return "\n".join(["", "", "```{toctree}", *options, "", *names, "```", ""])


def setup(app):
    language = app.config.language
    known = {} if language == pages.ENGLISH else editions.translations(language)
    found = pages.pages(language)
    named = {page.name: page for page in found.values()}

    def say(text):
        return known.get(text, text)

    def names(suffix, beginning="", end=""):
        ours = [name for name, page in named.items() if page.english.suffix == suffix]
        return [name for name in ours if name.startswith(beginning) and name.endswith(end)]

    lists = {
        "exercises": (say("Exercises"), names(".ipynb", "exercises/", "-exercise")),
        "solutions": (say("Solutions"), names(".ipynb", "exercises/", "-solution")),
    }
    sidebar = {
        say("Notebooks"): names(".ipynb", "notebooks/"),
        say("Practice"): lists,
        say("To look up"): [
            *(name for name in names(".md") if name != "index"),
            *(f"{say('Slides')} <{name}>" for name in names(".ipynb", "workshop/")),  # its title is that of the site
        ],
    }

    def write(app):
        pages.write(Path(app.srcdir), found)
        for name, (title, those) in lists.items():
            text = f"# {title}{tree(those, ':maxdepth: 1')}"
            Path(app.srcdir, f"{name}.md").write_text(text, encoding="utf-8")

    def read(app, name, source):
        page = named.get(name)
        if page and page.english.suffix in pages.TEXTS:
            text = source[0]
            text = pages.prepared(text, page, language, found)
            if name == "index":
                text += "".join(tree(those, ":hidden:", f":caption: {caption}") for caption, those in sidebar.items())
            source[0] = text

    def switch(app, name, template, context, doctree):
        context["languages_label"] = say("Language")
        context["languages"] = [
            (code, Locale(code).get_display_name(), pages.way(name, language, name, code)) for code in pages.LANGUAGES
        ]

    readme = named["index"].source.read_text(encoding="utf-8")
    app.config.project = app.config.html_title = readme.splitlines()[0].strip("# ")
    app.config.nb_code_prompt_show, app.config.nb_code_prompt_hide = say("Show the log"), say("Hide the log")
    app.add_search_language(Korean)
    app.connect("builder-inited", write)
    app.connect("source-read", read)
    app.connect("html-page-context", switch)
