"""How the documentation is built; ``make docs``."""

import os
import shutil
from importlib.metadata import metadata
from pathlib import Path

from sphinx.ext.napoleon import NumpyDocstring

HERE = Path(__file__).parent

# The notebooks live beside the package, for those who read the repository and not these pages.
copies = HERE / "generated" / "tutorials"
copies.mkdir(parents=True, exist_ok=True)
for notebook in (HERE.parent / "tutorials").glob("*.ipynb"):
    shutil.copy(notebook, copies)

info = metadata("tcellmil")
project = info["Name"]
author = "the tcellmil developers"
copyright = f"2026, {author}"
version = release = info["Version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
if os.environ.get("READTHEDOCS"):  # needs a network, which a build elsewhere may not have
    extensions.append("sphinx.ext.intersphinx")
intersphinx_mapping = {
    "anndata": ("https://anndata.readthedocs.io/en/stable/", None),
    "pandas": ("https://pandas.pydata.org/pandas-docs/stable/", None),
    "python": ("https://docs.python.org/3", None),
    "scanpy": ("https://scanpy.readthedocs.io/en/stable/", None),
    "scvi": ("https://docs.scvi-tools.org/en/stable/", None),
}

source_suffix = {".rst": "restructuredtext", ".ipynb": "myst-nb", ".md": "myst-nb"}
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
add_module_names = False
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_rtype = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are stored with their outputs
nb_merge_streams = True
bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "sphinx_book_theme"
html_title = "tcellmil"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_theme_options = {"navbar_persistent": [], "use_fullscreen_button": False, "use_download_button": False}


def _returns_as_prose(self: NumpyDocstring, section: str) -> list[str]:
    """Take ``Returns`` as text, as scanpy's pages do; napoleon would read the first line as a name and a type."""
    return self._format_block(":returns: ", self._dedent(self._consume_to_next_section()))


def _raises_all(self: NumpyDocstring, section: str) -> list[str]:
    """Keep every name of ``KeyError, ValueError``; napoleon would keep the first."""
    fields = self._consume_fields(parse_type=False, prefer_type=True)
    return [line for _, names, text in fields for line in self._format_block(f":raises {names}: ", text)]


NumpyDocstring._parse_returns_section = _returns_as_prose
NumpyDocstring._parse_raises_section = _raises_all
