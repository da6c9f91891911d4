"""The singular values of the Jacobian at the recommended points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meanfield.errors import DomainError
from meanfield.report.blocks import Block, Paragraph, Section, Table, column

if TYPE_CHECKING:
    from meanfield.report.subject import Subject
    from meanfield.theory.spectrum.jacobian_law import JacobianSpectrum

_WEIGHTS = ("gaussian", "orthogonal")


def section(subject: Subject) -> Section:
    """Quantiles and edges with Gaussian and orthogonal weights, and the point of isometry.

    Examples
    --------
    >>> from meanfield.report.subject import make_subject
    >>> table = section(make_subject("relu", 0)).blocks[0]
    >>> table.rows[0][:2], table.rows[0][-1]
    (('20', 'gaussian'), '0.5')
    """
    from meanfield.theory.mean_field import MeanField

    title = "Jacobian: how far lengths are kept"
    spectra: list[JacobianSpectrum] = []
    for advice in subject.advice.values():
        if isinstance(advice, str):
            continue
        net = MeanField(subject.activation, advice.sigma_w, advice.sigma_b)
        spectra += [net.jacobian_spectrum(advice.depth, weights, advice.q) for weights in _WEIGHTS]
    blocks: list[Block] = []
    if spectra:
        blocks.append(_table(spectra))
        blocks.append(Paragraph("At infinite width; the corrections are of the order of depth/width. All s are 1 in an isometry."))
    else:
        blocks.append(Paragraph("No point is recommended, so there is none at which to ask."))
    blocks.append(_isometry(subject))
    return Section("jacobian", title, tuple(blocks))


def _table(spectra: list[JacobianSpectrum]) -> Table:
    levels = [[float(s.quantile(p)) for s in spectra] for p in (0.25, 0.5, 0.75)]
    zero = [sum(atom.mass for atom in s.atoms if atom.value == 0.0) for s in spectra]
    rows = zip(
        [str(s.depth) for s in spectra],
        [s.weights for s in spectra],
        *(column(values, 4) for values in levels),
        column([s.edges[1] for s in spectra], 5),
        [f"{mass:.4g}" for mass in zero],
        strict=True,
    )
    header = ("layers", "weights", "s, 25%", "50%", "75%", "largest", "P(s = 0)")
    caption = "Singular values s of the Jacobian ∂h^L/∂h⁰ at the recommended points: three quantiles, the upper end, and what is lost."
    return Table(caption, header, "rlrrrrr", tuple(rows))


def _isometry(subject: Subject) -> Paragraph:
    from meanfield.theory.spectrum.isometry import isometry_point

    try:
        point = isometry_point(subject.activation, depth=100)
    except DomainError as error:
        return Paragraph(f"{error}.")
    return Paragraph(f"With orthogonal weights, 100 layers have E s² = 1 and Var s² = 1/4 at {point}.")
