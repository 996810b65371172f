"""How pages look and speak: palette and size, words for codes, times on two walls, error pages."""

import gzip
import re
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.contrib.staticfiles import finders
from django.template import engines
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation

from clinic.ui import instants, places, telling, views, words
from clinic.ui.gallery import Specimen, answers
from kap.chart import Chart
from kap.finding import ReadValue
from kap.moment import Moment
from kap.protocol import load
from kap.rule import Answer
from kap.verdict import Verdict, ask
from tests.world import World

ROOT = Path(__file__).resolve().parents[2]
CSS = ROOT / "clinic" / "ui" / "static" / "ui" / "clinic.css"
TEMPLATES = sorted((ROOT / "clinic").glob("*/templates/**/*.html"))
NOON = datetime(2026, 8, 12, 18, 22, tzinfo=UTC)
TORONTO = SimpleNamespace(name="Toronto", zone="America/Toronto", phone="555-0100")
MARIE = SimpleNamespace(zone="America/Vancouver")
NURSE = SimpleNamespace(roles=frozenset({"nurse"}), name="Bob", role="nurse")


def rendered(source: str, **context: Any) -> str:
    """Return a template's text as a page would show it."""
    text = engines["django"].from_string(source).render(context)
    return re.sub(r"\s+", " ", text).strip()


# -- the sheet -------------------------------------------------------------------------------------

# Palette and what must be read on what, with the least contrast (WCAG formula).
THEMES = {
    "day": {"bg": "#F7F5F1", "surface": "#FFFFFF", "ink": "#1B2A33", "muted": "#4A5B66"},
    "dim": {"bg": "#0D0A08", "surface": "#17120E", "ink": "#D9C7B0", "muted": "#A08F7C"},
    "board": {"bg": "#000000", "surface": "#0E1418", "ink": "#F2F5F7", "muted": "#B3BEC6"},
}
WORDS_ON_PAGE = ("ink", "muted", "primary", "hr", "spo2", "nibp", "rr", "pk", "crisis", "ok")


def tokens(theme: str, sheet: str | None = None) -> dict[str, str]:
    """Return the colours of one theme: those of day, overridden."""
    text = sheet or CSS.read_text()
    found: dict[str, str] = {}
    for selector in (":root {", f':root[data-theme="{theme}"] {{'):
        if selector in text:
            block = text.partition(selector)[2].partition("}")[0]
            found |= dict(re.findall(r"--([\w-]+): (#[0-9A-F]{6});", block))
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance of #RRGGBB."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def unreadable(colours: dict[str, str]) -> list[str]:
    """Return the words that are read on page or surface with too little contrast."""
    return [
        f"{word} on {ground}"
        for word in WORDS_ON_PAGE
        for ground in ("bg", "surface")
        if contrast(colours[word], colours[ground]) < 4.5
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_every_word_can_be_read_in_every_theme(theme: str) -> None:
    colours = tokens(theme)
    assert THEMES[theme].items() <= colours.items()
    assert unreadable(colours) == []
    assert contrast(colours["line"], colours["surface"]) >= 3
    assert unreadable(colours | {"muted": colours["bg"]}) == ["muted on bg", "muted on surface"]


@pytest.mark.parametrize("theme", ["day", "board"])
def test_an_alarm_fill_carries_readable_text(theme: str) -> None:
    colours = tokens(theme)
    for level in ("high", "medium", "low"):
        assert contrast(colours[f"alarm-{level}"], colours[f"alarm-{level}-text"]) >= 7


def test_an_alarm_is_a_frame_in_the_dim_room() -> None:
    sheet = CSS.read_text()
    assert '[data-theme="dim"] .alarm { background: var(--surface); color: var(--ink)' in sheet


def test_the_sheet_is_small_and_asks_nothing_of_the_network() -> None:
    sheet = CSS.read_text()
    assert len(gzip.compress(CSS.read_bytes(), 9)) <= 12 * 1024
    urls = re.findall(r'url\("([^"]+)"\)', sheet)
    assert len(urls) == 2
    for url in urls:
        assert finders.find(str(Path("ui") / url).replace("ui/../", "")) is not None


INLINE = re.compile(
    r"""\sstyle=|\son[a-z]+="|<style|<script(?![^>]*(?:\ssrc=|type="application/json"))"""
)


@pytest.mark.parametrize("page", TEMPLATES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_holds_script_or_style_of_its_own(page: Path) -> None:
    assert INLINE.findall(page.read_text()) == []


@pytest.mark.parametrize(
    "bad", ['<p style="x">', '<a onclick="x">', "<style>", "<script>", '<script type="module">']
)
def test_inline_script_and_style_would_be_found(bad: str) -> None:
    assert INLINE.search(bad)


# -- time ------------------------------------------------------------------------------------------


WHEN = '{% include "ui/when.html" %}'


def test_a_patient_elsewhere_reads_both_walls() -> None:
    text = rendered(WHEN, at=NOON, site=TORONTO, patient=MARIE)
    assert "12 Aug 2026, 14:22 EDT Toronto" in text
    assert "12 Aug 2026, 11:22 PDT Vancouver" in text


def test_staff_read_the_site_s_wall_only() -> None:
    text = rendered(WHEN, at=NOON, site=TORONTO, patient=MARIE, by=NURSE)
    assert "Toronto" in text
    assert "Vancouver" not in text


def test_a_patient_at_the_site_s_own_time_reads_it_once() -> None:
    text = rendered(WHEN, at=NOON, site=TORONTO, patient=SimpleNamespace(zone="America/Toronto"))
    assert text.count("14:22") == 1


def test_french_dates_have_french_months_and_zones() -> None:
    with translation.override("fr"):
        assert instants.day(date(2026, 8, 12)) == "12 août 2026"
        told = instants.instant(NOON, "America/Toronto")
    assert told is not None
    assert told.text == "12 août 2026, 14 h 22 HAE Toronto"


def test_no_instant_is_a_dash_and_text_is_read_as_an_instant() -> None:
    assert rendered(WHEN, at=None, site=TORONTO) == "-"
    assert rendered(WHEN, at="", site=TORONTO) == "-"
    assert "14:22 EDT" in rendered(WHEN, at=NOON.isoformat(), site=TORONTO)
    assert "14:22 EDT" in rendered(WHEN, at=Moment.at(NOON), site=TORONTO)


def test_an_instant_without_a_site_is_in_utc() -> None:
    assert "18:22 UTC" in rendered(WHEN, at=NOON)


def test_a_person_born_on_leap_day_ages_on_the_first_of_march() -> None:
    born = date(2000, 2, 29)
    assert instants.age(born, date(2026, 2, 28)) == 25
    assert instants.age(born, date(2026, 3, 1)) == 26


# -- answers ---------------------------------------------------------------------------------------


def empty_chart_verdict() -> Any:
    return ask(load("iv-ketamine"), "screening", Chart.from_json({}), Moment.at(NOON))


def test_unknown_is_a_kind_of_its_own_and_never_reads_as_met() -> None:
    verdict = empty_chart_verdict()
    told = telling.tell(verdict)
    unknown = [finding for finding in verdict.findings if finding.state == "unknown"]
    assert unknown
    assert {telling.kind_of(finding) for finding in unknown} == {"unknown"}
    assert told.counts["unknown"] == len(unknown)
    assert told.icon == "?"
    page = rendered('{% include "ui/verdict.html" %}', verdict=verdict, site=TORONTO)
    assert "need more information" in page
    assert "finding--unknown" in page
    assert "finding--met" not in page


def test_every_reason_is_on_the_page_the_folded_ones_too() -> None:
    verdict = empty_chart_verdict()
    page = rendered('{% include "ui/verdict.html" %}', verdict=verdict, site=TORONTO)
    told = telling.tell(verdict)
    assert [row for group in told.groups for row in (*group.head, *group.rest)] == list(told.rows)
    for finding in verdict.findings:
        assert finding.rule_id in page


def test_what_is_not_met_is_never_folded_away() -> None:
    row = telling.tell(empty_chart_verdict()).rows[0]
    group = telling.Group("stop", "not met", (row,) * 9)
    assert len(group.head) == 9
    assert group.rest == ()


def test_an_answer_names_its_protocol_and_its_digest() -> None:
    verdict = empty_chart_verdict()
    page = rendered('{% include "ui/gate.html" %}', verdict=verdict, site=TORONTO)
    assert f"{verdict.protocol_id} {verdict.version}" in page
    assert verdict.digest[:12] in page


def altered(verdict: Verdict) -> Verdict:
    """Return the same answer, given by a file that nobody signed."""
    return Verdict.from_json({**verdict.to_json(), "digest": "0" * 64})


@pytest.mark.parametrize("partial", ["gate", "verdict"])
def test_an_answer_asks_itself_whether_its_version_is_signed_at_the_site(
    world: World, partial: str
) -> None:
    verdict = empty_chart_verdict()
    page = '{% include "ui/' + partial + '.html" %}'
    assert "UNSIGNED" not in rendered(page, verdict=verdict, site=world.site)
    assert "UNSIGNED" in rendered(page, verdict=altered(verdict), site=world.site)
    assert "UNSIGNED" in rendered(page, verdict=verdict, site=TORONTO)  # a site of no record
    assert "UNSIGNED" in rendered(page, verdict=verdict)


@pytest.mark.parametrize("base", ["staff", "print"])
def test_a_page_that_shows_an_unsigned_answer_says_so_at_its_foot(world: World, base: str) -> None:
    page, verdict = '{% extends "ui/' + base + '.html" %}', empty_chart_verdict()
    told = "No medical director has signed this protocol version for this site."
    assert told not in rendered(page, verdict=verdict, site=world.site)
    assert told not in rendered(page, site=world.site)
    assert told in rendered(page, verdict=altered(verdict), site=world.site)


@pytest.mark.django_db
def test_a_french_answer_has_no_english_reason() -> None:
    with translation.override("fr"):
        for verdict in answers(NOON):
            for row, finding in zip(telling.tell(verdict).rows, _in_order(verdict), strict=True):
                assert row.why == finding.why_fr or not finding.why_fr
            assert words.label(verdict.label) != verdict.label


def _in_order(verdict: Any) -> list[Any]:
    kinds = telling.KINDS
    return sorted(verdict.findings, key=lambda finding: kinds.index(telling.kind_of(finding)))


def test_the_cast_shows_every_kind_of_reason() -> None:
    shown = answers(NOON)
    kinds = {row.kind for verdict in shown for row in telling.tell(verdict).rows}
    assert {verdict.answer for verdict in shown} >= {Answer.ELIGIBLE, Answer.CONTRAINDICATED}
    assert kinds == set(telling.KINDS)


def test_a_derived_yes_is_not_repeated_beside_its_reason() -> None:
    assert not telling._speaks(ReadValue("m_ad", "true"))
    assert telling._speaks(ReadValue("m_ad", "unknown", reason="never_asked"))
    assert telling._speaks(ReadValue("systolic", "172", "mm[Hg]"))


def test_numbers_have_the_decimal_sign_of_the_page() -> None:
    line = "0.5 mg/kg × 68.5 kg = 34.25 mg"
    assert words.decimals(line) == line
    assert words.number("34.25") == "34.25"
    with translation.override("fr"):
        assert words.decimals(line) == "0,5 mg/kg × 68,5 kg = 34,25 mg"
        assert words.number("34.25") == "34,25"
        assert words.number("F33.2") == "F33.2"
    assert words.unit("mm[Hg]") == "mmHg"
    assert words.unit("a") == "years"


def test_every_label_of_the_shipped_protocol_has_its_word() -> None:
    protocol = load("iv-ketamine")
    for stage in protocol.stages:
        for answer in Answer:
            assert protocol.labels(stage, answer) in words.LABELS


# -- forms -----------------------------------------------------------------------------------------


def wrong_form() -> forms.Form:
    return Specimen({"weight": "68,O", "words": "breathing"})


def test_a_mistake_is_told_on_top_and_at_its_field_and_what_was_typed_stays() -> None:
    page = rendered(
        '{% include "ui/error_summary.html" %}{% for field in form %}'
        '{% include "ui/field.html" %}{% endfor %}',
        form=wrong_form(),
    )
    assert 'role="alert"' in page
    assert 'href="#id_weight"' in page
    assert page.count("Enter a number.") == 2
    assert 'value="68,O"' in page
    assert 'type="number"' not in page
    assert 'aria-invalid="true"' in page
    assert "breathing" in page


def test_a_form_without_mistakes_has_no_summary() -> None:
    assert rendered('{% include "ui/error_summary.html" %}', form=Specimen()) == ""


def test_allergies_not_listed_in_full_are_never_none() -> None:
    tag = "{% load ui %}{% allergy_words items as said %}{{ said }}"
    assert rendered(tag, items=None) == "None"
    whole, part = SimpleNamespace(complete=True), SimpleNamespace(complete=False)
    for each in (whole, part):
        each.items = ()
    assert rendered(tag, items=whole) == "none known"
    assert rendered(tag, items=part) == "not known: list not complete"
    whole.items = part.items = (SimpleNamespace(code="J01CA04"),)
    assert rendered(tag, items=whole) == "J01CA04"
    assert "not complete" in rendered(tag, items=part)


@pytest.mark.django_db
def test_the_strip_says_who_it_is_and_the_weight_with_its_day() -> None:
    person = SimpleNamespace(
        legal_name="Marie Kowalski", preferred_name="", pronouns="", birth_date=date(1979, 3, 4)
    )
    fact = SimpleNamespace(value="68.0", unit="kg", observed_at=NOON)
    page = rendered(
        '{% include "ui/patient_strip.html" %}',
        patient=person,
        site=TORONTO,
        weight=(None, fact),
        now=NOON,
    )
    assert "4 Mar 1979" in page
    assert "47 years" in page
    assert "68.0 kg" in page
    assert "12 Aug 2026" in page
    assert "68" not in rendered(
        '{% include "ui/patient_strip.html" %}', patient=person, site=TORONTO, now=NOON
    )


# -- pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (views.bad_request, 400),
        (views.forbidden, 403),
        (views.not_found, 404),
        (views.server_error, 500),
        (views.csrf_failure, 403),
    ],
)
def test_a_failed_page_says_what_is_safe_and_gives_a_reference(view: Any, status: int) -> None:
    response = view(RequestFactory().get("/nowhere"))
    assert response.status_code == status
    page = response.content.decode()
    assert response["X-Reference"] in page
    assert 'role="alert"' in page
    assert "tel:988" in page


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("theme", ["day", "dim", "board", "no such"])
def test_the_gallery_shows_every_component(world: World, theme: str, language: str) -> None:
    response = world.client("ada").get(
        reverse("gallery"), {"theme": theme}, headers={"accept-language": language}
    )
    page = response.content.decode()
    assert response.status_code == 200
    assert f'data-theme="{theme if theme in THEMES else "day"}"' in page
    assert f'lang="{language}"' in page
    for part in ("verdict--eligible", "gate-list", "alarm--high", "care-card", "error-summary"):
        assert part in page
    assert INLINE.findall(page) == []


@pytest.mark.django_db
def test_a_patient_s_page_leads_to_help_right_after_the_skip_link(client: Client) -> None:
    page = client.get(reverse("portal:help")).content.decode()
    links = re.findall(r"<a [^>]*href=\"([^\"]+)\"", page)
    assert links[:3] == ["#main", "tel:988", "sms:988"]


@pytest.mark.django_db
@pytest.mark.parametrize("view", ["outcomes:course", "intake:review"])
def test_no_title_names_the_patient(world: World, view: str) -> None:
    page = world.client("alice").get(reverse(view, kwargs={"course_id": world.course.pk}))
    title = re.findall(r"<title>(.*?)</title>", page.content.decode())
    assert len(title) == 1
    assert "Kowalski" not in title[0]
    assert "Kowalski" in page.content.decode()


@pytest.mark.django_db
def test_the_page_names_the_site_and_its_zone(world: World) -> None:
    page = world.client("bob").get(reverse("today:today")).content.decode()
    assert "<b>Toronto</b> America/Toronto" in page


@pytest.mark.django_db
def test_sign_in_offers_a_passkey_and_no_sign_up(client: Client) -> None:
    page = client.get(reverse("account_login")).content.decode()
    assert 'id="passkey_login"' in page
    assert "/account/signup" not in page
    assert "password/reset" not in page
    assert INLINE.findall(page) == []


@pytest.mark.django_db
def test_a_wrong_password_is_told_in_the_summary(client: Client) -> None:
    answer = client.post(reverse("account_login"), {"login": "nobody", "password": "wrong"})
    assert "data-error-summary" in answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("view", ["mfa_index", "mfa_list_webauthn", "account_logout"])
def test_account_pages_wear_the_staff_page(world: World, view: str) -> None:
    answer = world.client("alice").get(reverse(view))
    assert answer.status_code == 200
    assert "top-nav" in answer.content.decode()


def test_who_is_locked_out_is_told_to_wait() -> None:
    page = rendered('{% include "account/locked.html" %}', request=RequestFactory().get("/"))
    assert "Too many attempts" in page


def test_the_navigation_follows_the_policy() -> None:
    nurse = {place.url for place in places.places({"nurse"}, "/today/")}
    assert reverse("dosing:board") in nurse
    assert reverse("today:audit") not in nurse
    officer = {place.url for place in places.places({"privacy_officer"}, "/")}
    assert reverse("today:audit") in officer
    assert places.places((), "/") == ()
    assert [place.here for place in places.places({"nurse"}, "/today/")].count(True) == 1


def test_a_place_without_an_address_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PLACES", (("no:such", "Nowhere"),))
    assert places.places({"nurse"}, "/") == ()
    assert places.allowed("no:such") == frozenset()


def test_another_page_of_a_list_keeps_the_search() -> None:
    tag = "{% load ui %}{% turn 3 %}"
    assert rendered(tag) == "?page=3"
    request = RequestFactory().get("/today/patients", {"q": "Marie", "page": "2"})
    assert rendered(tag, request=request) == "?q=Marie&amp;page=3"


@pytest.mark.parametrize(
    ("code", "name", "word"),
    [
        ("stage", "day-before", "la veille"),
        ("role", "medical_director", "direction médicale"),
        ("unit", "mm[Hg]", "mmHg"),
        ("reason", "never_asked", "jamais demandé"),
        ("source", "device", "d'un appareil"),
    ],
)
def test_codes_have_words_in_the_language_of_the_page(code: str, name: str, word: str) -> None:
    tag = f"{{% load ui %}}{{% autoescape off %}}{{{{ code|{code}_word }}}}{{% endautoescape %}}"
    with translation.override("fr"):
        assert rendered(tag, code=name) == word
    assert words.fact("heart_rate") == "heart rate"
