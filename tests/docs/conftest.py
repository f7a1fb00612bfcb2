"""The tests in a browser need Playwright, which the environment of the site has: `make site-test`."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("playwright") else ["test_in_a_browser.py"]
