"""Search in Korean, in which a word carries its particle: who looks for 작업 wants 작업을 and 작업이, too."""

import re

from sphinx.search import SearchLanguage

WORD = re.compile(r"[가-힣]{2,}")


class Korean(SearchLanguage):
    """Indexes the beginnings of each Korean word, from two syllables on: the browser compares so few as they are."""

    lang = "ko"
    language_name = "Korean"

    def split(self, input):
        beginnings = [word[:end] for word in WORD.findall(input) for end in range(2, len(word))]
        return super().split(input) + beginnings
