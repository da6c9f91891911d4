"""How the documentation is built: ``python3 -m sphinx -W docs docs/_build``."""

import meanfield

project = "meanfield"
author = "The meanfield-nets developers"
copyright = "2026, the meanfield-nets developers"
version = release = meanfield.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "gallery/**/*.ipynb", "gallery/**/*.py"]
autosummary_generate = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
html_theme = "pydata_sphinx_theme"
html_title = "meanfield"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "download_all_examples": False,
    "show_memory": False,
}
