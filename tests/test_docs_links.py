"""The check of the built pages sees what is broken, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs_links import broken, main

GOOD = """<a href="other.html#here">x</a> <a href="#top">x</a> <a href="sub/page.html?q=1">x</a> <a href="https://example.org/nothing">x</a>
<img src="picture.png" srcset="picture.png, picture.png 2.00x"> <a href="mailto:nobody@example.org">x</a>"""


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(GOOD)
    (tmp_path / "other.html").write_text('<h1 id="here">x</h1>')
    (tmp_path / "sub" / "page.html").write_text('<a href="../other.html">x</a>')
    (tmp_path / "picture.png").write_bytes(b"")
    return tmp_path


def test_good_pages(pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert broken(pages) == []
    assert main([str(pages)]) == 0


@pytest.mark.parametrize(
    "link",
    [
        '<a href="nowhere.html">',
        '<a href="other.html#nowhere">',
        '<a href="#nowhere">',
        '<img src="nowhere.png">',
        '<img srcset="picture.png, nowhere.png 2.00x">',
        '<a href="sub">',
    ],
)
def test_broken_ones(link: str, pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pages / "sub" / "page.html").write_text(link.replace('"picture', '"../picture'))
    assert len(broken(pages)) == 1
    assert main([str(pages)]) == 1
    assert capsys.readouterr().out.startswith("sub/page.html: ")


def test_no_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 64
