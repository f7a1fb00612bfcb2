"""What cog writes into documents, for the programs that read these: https://cog.readthedocs.io

A block begins with a comment that holds code, and ends with another: cog writes what stands between them. Where the
code fills in a text, as in filled(\"\"\"…\"\"\"), each language fills in its own translation of that text.
"""

import re

BLOCK = re.compile(r"<!-- \[\[\[cog\b(.*?)\]\]\] -->\n(.*?)<!-- \[\[\[end\]\]\] -->\n?", re.DOTALL)
TEXT = re.compile(r'filled\("""(?:\\\n)?(.*?)"""\)', re.DOTALL)


def without_comments(text):
    """A document without the comments of cog, which shows a reader the same."""
    return BLOCK.sub(lambda block: block[2], text)


def to_translate(text):
    """A document as it is translated: a text that is filled in has its places, all else is as cog has written it."""

    def part(block):
        unfilled = TEXT.search(block[1])
        return unfilled[1] + "\n" if unfilled else block[2]

    return BLOCK.sub(part, text)
