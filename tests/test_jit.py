"""How kernels are compiled: with the compiler off, and where no folder can hold the cache."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from meanfield import jit

pytestmark = pytest.mark.skipif(bool(jit.config.DISABLE_JIT), reason="the compiler is off")


def double(x: float) -> float:
    return x + x


def test_with_the_compiler_off_a_kernel_is_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit.config, "DISABLE_JIT", 1)
    assert jit.kernel("float64(float64)")(double) is double


def test_without_a_folder_for_the_cache_kernels_are_compiled_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiler = jit.njit

    def uncached(**options: Any) -> Any:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function 'double': no locator available")
        return compiler(**options)

    monkeypatch.setattr(jit, "njit", uncached)
    monkeypatch.setattr(jit, "_announced", False)
    with caplog.at_level(logging.INFO, logger="meanfield"):
        for _ in range(2):
            assert jit.kernel("float64(float64)")(double)(1.5) == 3.0
    assert [record.getMessage().split(";")[0] for record in caplog.records] == ["compiling meanfield's numerical kernels"]


def test_a_kernel_takes_only_what_it_was_compiled_for() -> None:
    compiled = jit.kernel("float64(float64)")(double)
    assert compiled(2) == 4.0
    with pytest.raises(TypeError):
        compiled("two")  # type: ignore[arg-type]
