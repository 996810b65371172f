"""Who may see which curve, and the words that stand beside every one.

A clinic's screen draws a verified card that was signed there, and nothing else; the demonstration
draws the envelope of published adult racemate models under a banner. No curve gates anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kap.pk.card import PARENT, ModelCard
from kap.pk.cards import available, load_card
from kap.pk.refusal import Refusal

Language = Literal["en", "fr"]

ADULT_Y = 18

CAPTION: Mapping[Language, str] = {
    "en": "Population model, not this patient. Not a measurement. "
    "Do not use to decide discharge, dose or alarm.",
    "fr": "Modèle de population, pas ce patient. Pas une mesure. "
    "Ne pas utiliser pour décider d’un congé, d’une dose ou d’une alarme.",
}
BANNER: Mapping[Language, str] = {"en": "unverified model", "fr": "modèle non vérifié"}
BETWEEN_MODELS: Mapping[Language, str] = {
    "en": "between models, not between patients; variability not reported",
    "fr": "entre modèles, pas entre patients ; variabilité non rapportée",
}


@dataclass(frozen=True, slots=True)
class Allowed:
    """A card that may be drawn as a band on a clinical screen, and who signed it there."""

    card_id: str
    version: str
    signed_by: str


def clinical_display(
    card: ModelCard, signatures: Mapping[str, str], analyte: str = PARENT
) -> Allowed | Refusal:
    """Return whether a clinic may draw a card. `signatures`: digest of a card -> who signed it."""
    what = f"{card.id}@{card.version}"
    signed_by = signatures.get(card.digest, card.signed_by)
    if card.clinical_screen == "no":
        return Refusal("not_drawn", what, card.clinical_screen_why, "recorded doses are shown")
    if card.status != "verified":
        return Refusal("not_drawn", what, f"status {card.status}", "recorded doses are shown")
    if not card.analyte(analyte).clinical:
        way = "recorded doses are shown"
        return Refusal("not_drawn", f"{what}: {analyte}", "for the library only", way)
    if not signed_by:
        way = "a named clinician reads the paper and signs the card"
        return Refusal("not_drawn", what, "not signed here", way)
    return Allowed(card.id, card.version, signed_by)


def demonstration_cards() -> tuple[ModelCard, ...]:
    """Return the published adult racemate models whose envelope a demonstration draws."""
    cards = map(load_card, available())
    return tuple(card for card in cards if _is_adult_racemate(card))


def _is_adult_racemate(card: ModelCard) -> bool:
    low = card.ranges.get("age_y", (0.0, 0.0))[0]
    is_racemate = card.substance == "ketamine_racemate"
    return is_racemate and card.status == "peer" and low >= ADULT_Y


def shown(value: float, language: Language = "en") -> str:
    """Return a level for people: two significant digits, and "< 1" below 1."""
    if value < 1:
        return "< 1"
    text = f"{float(f'{value:.1e}'):g}"
    return text.replace(".", ",") if language == "fr" else text
