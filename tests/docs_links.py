"""Every link of the built pages that leads to another of them arrives: ``python -m tests.docs_links docs/_build``.

Sphinx checks what it resolves itself. Anchors in Markdown, links of the theme and in HTML, and the picture files are seen here only.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and which anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value)
            elif name in ("href", "src"):
                self.links.add(value)
            elif name == "srcset":
                self.links.update(choice.split()[0] for choice in value.split(",") if choice.strip())


def broken(folder: Path) -> list[str]:
    """``page: link`` for each link to a file or an anchor that is not there."""
    # What the theme brings along is not ours to read.
    pages = {file.resolve(): Page(file.read_text(encoding="utf-8")) for file in folder.rglob("*.html") if "_static" not in file.parts}
    found = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path, anchor = unquote(parts.path), unquote(parts.fragment)
            target = (file.parent / path).resolve() if path else file
            if not target.is_file() or (target in pages and anchor not in pages[target].anchors):
                found.append(f"{file.relative_to(folder.resolve())}: {link}")
    return sorted(found)


def main(words: list[str]) -> int:
    if len(words) != 1 or not (Path(words[0]) / "index.html").is_file():
        print("usage: python -m tests.docs_links FOLDER, a folder with built pages", file=sys.stderr)
        return 64
    found = broken(Path(words[0]))
    print("\n".join([*found, f"{len(found)} links lead nowhere" if found else "all links inside lead somewhere"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
