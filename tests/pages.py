"""Reading a page as a person does."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from uuid import uuid4


def text_of(response: Any) -> str:
    """Return the words of a page, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def hidden(response: Any, name: str) -> str:
    """Return the value of a hidden input, as the browser would send it."""
    found = re.search(
        rf'<input type="hidden" name="{name}" value="([^"]*)"', response.content.decode()
    )
    assert found is not None, f"no hidden input {name}"
    return unescape(found[1])


def key() -> str:
    """Return a form's key, as the server renders a new one each time."""
    return str(uuid4())
