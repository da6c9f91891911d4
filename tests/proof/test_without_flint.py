"""Without python-flint: everything else works, and proofs say what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = ("mf.enclose('second_moment', 'tanh', q=1)", "mf.prove_proposition4('tanh')", "mf.check_proof('{}')")


@pytest.mark.parametrize("question", ASKED)
def test_the_missing_extra_is_named_without_flint(question: str) -> None:
    script = f"""
import sys
sys.modules["flint"] = None  # an import of it fails
import meanfield as mf
try:
    {question}
except mf.MeanFieldError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True).stdout
    assert 'pip install "meanfield-nets[proof]"' in said
    assert "python-flint" in said


def test_the_command_line_names_it_without_flint() -> None:
    script = 'import sys; sys.modules["flint"] = None; from meanfield.cli.entry import main; sys.exit(main(["prove", "tanh"]))'
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode != 0
    assert 'pip install "meanfield-nets[proof]"' in found.stderr
    assert "Traceback" not in found.stderr
