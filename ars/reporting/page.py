"""A page as HTML that stands alone: nothing in it is fetched, and no text of a file is code.

The template escapes every text. The page's own policy lets only its one style sheet and its one
script apply, which it knows by their digests, and lets nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from ars.reporting.parts import Page

_FOLDER = Path(__file__).parent
_STYLE, _SCRIPT, _TEMPLATE = "page.css", "page.js", "page.html"


def render(page: Page) -> bytes:
    """The page as UTF-8."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((_FOLDER / name).read_text() for name in (_STYLE, _SCRIPT))
    policy = (
        f"default-src 'none'; img-src data:; media-src data:; style-src {_digest(style)}; "
        f"script-src {_digest(script)}; base-uri 'none'; form-action 'none'"
    )
    template = environment.get_template(_TEMPLATE)
    text = template.render(page=page, style=style, script=script, policy=policy, quoted=_quoted)
    # Files may hold halves of characters, which UTF-8 has no bytes for.
    return text.encode("utf-8", "xmlcharrefreplace")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _quoted(text: str) -> list[tuple[bool, str]]:
    """Parts of a message, and whether each is a setting's name, which stands in backticks."""
    return [(index % 2 == 1, part) for index, part in enumerate(text.split("`"))]
