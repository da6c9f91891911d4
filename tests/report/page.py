"""A page taken apart, with the standard library's parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

EMPTY = {"meta", "use", "path", "image", "rect", "br"}


class Page(HTMLParser):
    """Ids, references, sections' text, code blocks and table rows of a page."""

    def __init__(self, html):
        super().__init__()
        self.html = html
        self.ids, self.references, self.tags, self.figures = [], [], [], []
        self.sections, self.codes, self.rows = {}, [], {}
        self._section, self._code, self._row, self._open = None, None, None, []
        self.feed(html)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        for value in found.values():
            self.references += re.findall(r"^#(.+)$|url\(#([^)]*)\)", value or "")
        for name in ("aria-labelledby",):
            if name in found:
                self.references.append((found[name], ""))
        if tag == "section":
            self._section = found["id"]
            self.sections[self._section], self.rows[self._section] = "", []
        if tag == "tr" and self._section:
            self._row = []
            self.rows[self._section].append(self._row)
        if tag in ("td", "th") and self._row is not None:
            self._row.append("")
        if tag == "code" and "class" in found:
            self._code = len(self.codes)
            self.codes.append((found["class"].removeprefix("language-"), ""))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in EMPTY:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag in EMPTY:
            return
        assert self._open.pop() == tag
        if tag == "section":
            self._section = None
        if tag == "tr":
            self._row = None
        if tag == "code":
            self._code = None

    def handle_data(self, data):
        if self._section and "svg" not in self._open:
            self.sections[self._section] += data
        if self._row:
            self._row[-1] += data
        if self._code is not None:
            language, text = self.codes[self._code]
            self.codes[self._code] = language, text + data
