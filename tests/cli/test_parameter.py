"""What a person types after -p."""

from __future__ import annotations

import pytest

from meanfield.cli.parameter import parameters
from meanfield.errors import DomainError


def test_numbers_words_and_lists():
    assert parameters(["negative_slope=0.3", "approximate=tanh", "coefficients=1,-2"]) == {
        "negative_slope": 0.3,
        "approximate": "tanh",
        "coefficients": (1.0, -2.0),
    }


@pytest.mark.parametrize("word", ["alpha", "=1", "alpha=", "1a=2", "a b=3", "name=x", "breakpoints=0"])
def test_refused(word):
    with pytest.raises(DomainError, match="-p"):
        parameters([word])


def test_given_twice():
    with pytest.raises(DomainError, match="twice"):
        parameters(["alpha=1", "alpha=2"])
