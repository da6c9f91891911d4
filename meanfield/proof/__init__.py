"""Proofs: enclosures by ball arithmetic, and Proposition 4 for every q at once.

Lives here: balls of a formula and its derivatives, rigorous Gaussian integrals, sign patterns, certificates and their check.
Not here: numerical expectations. Nothing of them is imported, so that a proof is a second witness. Needs python-flint, the extra "proof".
"""

from __future__ import annotations

from meanfield.proof.check import Check, check_proof
from meanfield.proof.document import Proof, Step
from meanfield.proof.enclose import Enclosure, Enclosures, enclose
from meanfield.proof.proposition4 import prove_proposition4

__all__ = ["Check", "Enclosure", "Enclosures", "Proof", "Step", "check_proof", "enclose", "prove_proposition4"]
