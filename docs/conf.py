"""How the site is built: `sphinx-build -W --keep-going -b html docs docs/_build`.  It loads nothing from elsewhere."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "yoga-live"
copyright = "the authors of yoga-live; Apache-2.0"
version = release = version_of("yoga-live")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "generated_reference"]
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False

myst_heading_anchors = 4
autodoc_member_order = "bysource"
autoclass_content = "both"
autodoc_typehints_format = "short"
default_role = "code"  # docstrings write `none`
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = "yoga-live"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["llms.txt"]
html_copy_source = False
html_use_index = False
html_domain_indices = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go, .c1"  # a comment after a command is not copied


def leave_types_of_signatures(app: Any, env: Any, node: nodes.Element, contnode: nodes.Element) -> nodes.Element | None:
    """A type in a signature that has no page (NumPy's, Python's, an inner module's) stays text; all else must exist."""
    parent: Any = node
    while parent := parent.parent:
        if isinstance(parent, addnodes.desc_signature):
            return contnode
    return None


def copy_pages(app: Any, error: Exception | None) -> None:
    """Put each page's Markdown beside its HTML: llms.txt leads there."""
    if error is None and app.builder.name == "html":
        from generated_reference import fill_in

        for name in app.env.found_docs:
            text = Path(app.env.doc2path(name)).read_text(encoding="utf-8")
            (Path(app.outdir) / f"{name}.md").write_text(fill_in(text), encoding="utf-8")


def setup(app: Any) -> None:
    """Sphinx calls this."""
    app.connect("missing-reference", leave_types_of_signatures)
    app.connect("build-finished", copy_pages)
