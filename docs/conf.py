"""How the documentation is built: ``python3 -m sphinx -W docs docs/_build``."""

import importlib
import importlib.util

from sphinx.application import Sphinx

import meanfield
from meanfield._callable import CallableModule

project = "meanfield"
author = "The meanfield-nets developers"
copyright = "2026, the meanfield-nets developers"
version = release = meanfield.__version__

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
if importlib.util.find_spec("sphinx-mathjax-offline"):
    # Carries MathJax along. Without it the pages load it from the network, and formulas need a connection.
    extensions.append("sphinx-mathjax-offline")
myst_enable_extensions = ["colon_fence", "dollarmath"]
# The tutorials are notebooks in text: run here, their outputs on the page.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_in_temp = True
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "jupyter_execute", "*.ipynb", "gallery/*.ipynb", "gallery/**/*.ipynb", "gallery/**/*.py"]
autosummary_generate = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
html_theme = "pydata_sphinx_theme"
html_title = "meanfield"
# All pages in the sidebar, by their captions; the theme's own would be empty on pages without pages below them.
html_sidebars = {"**": ["globaltoc.html"]}
html_theme_options = {"navbar_center": [], "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"]}
html_show_sourcelink = False
# A reference that leads nowhere is a warning, and with -W an error.
nitpicky = True
myst_heading_anchors = 3
html_static_path = ["_static"]
html_css_files = ["figures.css"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "download_all_examples": False,
    "show_memory": False,
    "image_srcset": ["2x"],
    "write_computation_times": False,
    "capture_repr": (),
}


def _keep_bars(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Docstrings write |z| for a modulus; reStructuredText would read a substitution."""
    doctest = False
    for number, line in enumerate(lines):
        doctest = line.lstrip().startswith(">>>") or (doctest and bool(line.strip()))
        if not doctest and "|" in line:
            # What stands between double backquotes is literal already.
            parts = line.split("``")
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[number] = "``".join(parts)


def _functions_for_modules(app: Sphinx, *_: object) -> None:
    """`meanfield.report` is a module that answers calls; the reference wants the function it calls."""
    for package in (meanfield, importlib.import_module("meanfield.plot")):
        for name in package.__all__:
            found = getattr(package, name)
            if isinstance(found, CallableModule):
                setattr(package, name, vars(found)[name])


def setup(app: Sphinx) -> None:
    # Behind the gallery, whose scripts see the package as it is.
    app.connect("env-before-read-docs", _functions_for_modules)
    # After numpydoc, which rewrites the docstring at the default priority of 500.
    app.connect("autodoc-process-docstring", _keep_bars, priority=900)
