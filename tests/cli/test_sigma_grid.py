"""What a person types after --sigma-b."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meanfield.cli.sigma_grid import LARGEST_GRID, sigma_grid
from meanfield.errors import DomainError


def test_stop_is_included_and_decimals_are_exact():
    assert sigma_grid("0:1:0.1", "--sigma-b") == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_stop_between_two_points_is_not_exceeded():
    assert sigma_grid("0:1:0.3", "--sigma-b") == [0.0, 0.3, 0.6, 0.9]


@pytest.mark.parametrize(("text", "values"), [("0.2", [0.2]), ("0, 0.1 ,0.5", [0.0, 0.1, 0.5]), ("1e-3", [0.001]), ("2:2:1", [2.0])])
def test_numbers_and_lists(text, values):
    assert sigma_grid(text, "--sigma-b") == values


@given(
    start=st.integers(0, 1000),
    step=st.integers(1, 50),
    count=st.integers(0, 200),
    scale=st.sampled_from([1, 10, 100, 1000]),
)
def test_each_point_is_the_double_nearest_to_its_decimal(start, step, count, scale):
    def decimal(number: int) -> str:
        return f"{number // scale}.{number % scale * (1000 // scale):03d}"

    grid = sigma_grid(f"{decimal(start)}:{decimal(start + step * count)}:{decimal(step)}", "--sigma-b")
    assert grid == [float(Fraction(start + step * index, scale)) for index in range(count + 1)]


def test_largest_grid():
    assert len(sigma_grid("0:1:0.00001", "--sigma-b")) == LARGEST_GRID
    for text in ("0:1.00001:0.00001", "0:1e300:1e-300", ",".join("1" * (LARGEST_GRID + 1))):
        with pytest.raises(DomainError, match="100,001"):
            sigma_grid(text, "--sigma-b")


@pytest.mark.parametrize(
    "text",
    ["", "a", "0:1", "0:1:0", "0:1:-0.1", "1:0:0.1", "-0.1", "nan", "inf", "0,inf", "1,,2", "0:1:0.1:2", "1e301", "1e-400", "0:nan:1",
     "x" * 10**6, "9" * 10**6, "1e99999999999999999999"],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_refused_with_the_option_named_and_a_short_message(text):
    with pytest.raises(DomainError) as caught:
        sigma_grid(text, "--sigma-b")
    assert str(caught.value).startswith("--sigma-b")
    assert len(str(caught.value)) < 400
