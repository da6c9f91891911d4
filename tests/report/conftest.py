"""Pages that several tests read, made once each."""

from __future__ import annotations

import pytest

import meanfield as mf
from tests.report.page import Page


@pytest.fixture(scope="session")
def tanh_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "tanh.html"
    assert mf.report("tanh", path) == path
    return path


@pytest.fixture(scope="session")
def tanh_page(tanh_file):
    return Page(tanh_file.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def sign_page():
    return Page(mf.report("sign"))
