"""The shipped model cards: found by id, refused when altered.

Only what `models/SHA256SUMS` lists is read, and only while its bytes are the listed ones.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from kap.pk.card import ModelCard
from kap.pk.card_file import read_card
from kap.pk.refusal import refused


def available() -> tuple[str, ...]:
    """Return the ids of the shipped cards, in the order of the alphabet."""
    return tuple(sorted(name.removesuffix(".toml") for name in _sums()))


@cache
def load_card(card_id: str, version: str | None = None) -> ModelCard:
    """Return a shipped card. PkError when it is unknown, altered, of another version or unsound."""
    name = f"{card_id}.toml"
    if name not in _sums():
        known = ", ".join(available())
        raise refused("card", "model", repr(card_id), f"use one of {known}")
    text = _folder().joinpath(name).read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    if digest != _sums()[name]:
        raise refused("card", name, digest, "its SHA-256 is not in SHA256SUMS: restore the file")
    card = read_card(text.decode(), digest)
    if card.id != card_id or version not in (None, card.version):
        found = f"{card.id}@{card.version}"
        raise refused("card", f"model {card_id}@{version}", found, "ask for the shipped version")
    return card


def _folder() -> Traversable:
    return resources.files("kap.pk").joinpath("models")


def _sums() -> dict[str, str]:
    lines = _folder().joinpath("SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}
