"""Networks whose variance runs away: no nan on the page."""

from __future__ import annotations

import re

from meanfield.report.sections import monte_carlo
from meanfield.report.subject import make_subject


def test_no_comparison_is_a_dash_and_infinity_has_no_error():
    found = monte_carlo.section(make_subject("exp", 0))
    (table,) = [block for block in found.blocks if block.kind == "table"]
    cells = [cell for row in table.rows for cell in row]
    assert "∞" in cells
    assert "—" in cells
    assert not [cell for cell in cells if re.search(r"nan|inf|∞ ±", cell)]
