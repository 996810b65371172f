"""The session trend and the patient's arc: what is seen, what is said, and what is never hidden."""

import re
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from kap import instrument
from kap.arc import Arc, ArcMark, ArcScore, arc, arc_csv, arc_sentence, arc_table
from kap.axis import PALETTE, Scale, csv, plain, px, told
from kap.picture import HEIGHT, LOWEST, decimated, spark, trend
from kap.trend import (
    LimitLine,
    Mark,
    Point,
    Pressure,
    Trend,
    runs,
    sentence,
    trend_csv,
    trend_table,
)

D = Decimal
PHQ9 = instrument.load("phq9")
COLOURS = ["vars", "literal"]


def beats(first: int, last: int, value: int = 80) -> list[Point]:
    """One reading a second, from and to a second of the session."""
    return [Point(D(second) / 60, D(value)) for second in range(first, last)]


SESSION = Trend(
    heart_rate=[*beats(0, 300), *beats(360, 660, 90), Point(D(20), D(85), by_hand=True)],
    spo2=[*beats(0, 300, 97), Point(D(8), D(96))],
    respiratory_rate=[Point(D(n), D(14)) for n in range(5)],
    pressures=[
        Pressure(D(-5), D(122), D(78), D(93)),
        Pressure(D(5), D(172), D(98), by_hand=True),
        Pressure(D(10), D(212), D(36)),
        Pressure(D(11), None, None),
    ],
    limits=[
        LimitLine("systolic", D(160), "SYS 160 amber: nurse, repeat", until=D(180)),
        LimitLine("systolic", D(162), "SYS 162 too near to be worded"),
        LimitLine("systolic", D(146), "baseline + 20 %", is_baseline=True),
        LimitLine("spo2", D(94), "SpO2 94 amber"),
        LimitLine("respiratory_rate", D(8), "RR 8 red"),
        LimitLine("systolic", D(220), "SYS 220 off the scale"),
    ],
    marks=[
        Mark(D(0), "start", "start 34 mg over 40 min"),
        Mark(D(5), "alarm", "SYS 172 <limit>", stars="**"),
        Mark(D(6), "acknowledged", "acknowledged"),
    ],
    now=D(22),
    stale_from=D("20.2"),
    clock={0: "09:00"},
)
COURSE = Arc(
    PHQ9,
    scores=[
        ArcScore(-7, 19),
        ArcScore(0, 18),
        ArcScore(7, None),
        ArcScore(14, 9, prorated=True),
        ArcScore(21, 4),
    ],
    marks=[ArcMark(0, "dose", "1"), ArcMark(3, "dose", "2"), ArcMark(1, "therapy")],
    response_at=9,
    today=30,
)


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def all_of(picture: str, tag: str, role: str = "") -> list[ElementTree.Element]:
    found = parsed(picture).iter(f"{{http://www.w3.org/2000/svg}}{tag}")
    return [one for one in found if not role or one.get("class") == role]


def words(picture: str) -> list[str]:
    return [one.text for one in all_of(picture, "text")]


PICTURES = {
    "trend": lambda **how: trend(SESSION, **how),
    "arc": lambda **how: arc(COURSE, **how),
    "empty trend": lambda **how: trend(Trend(), **how),
    "empty arc": lambda **how: arc(Arc(PHQ9), **how),
}


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_well_formed_needs_no_style_and_says_a_sentence(name, colours):
    picture = PICTURES[name](colours=colours)
    assert parsed(picture).get("aria-label")
    assert parsed(picture).get("role") == "img"
    assert "style=" not in picture
    assert "viewBox" not in picture


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_input_gives_the_same_bytes(name):
    assert PICTURES[name]() == PICTURES[name]()


@pytest.mark.parametrize("width", [320, 720, 1100])
@pytest.mark.parametrize("name", PICTURES)
def test_text_is_never_smaller_than_twelve_pixels_however_narrow(name, width):
    sizes = [int(t.get("font-size")) for t in all_of(PICTURES[name](width=width), "text")]
    assert min(sizes) >= 12


@pytest.mark.parametrize("name", ["trend", "arc"])
def test_coordinates_carry_at_most_one_decimal(name):
    assert not re.search(r"\d\.\d\d", re.sub(r'opacity="0\.\d+"', "", PICTURES[name]()))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("height", [LOWEST, 181, 215, 263, HEIGHT])
def test_a_lower_trend_shows_the_whole_scale_and_no_axis_word_on_another(height, language):
    picture = trend(SESSION, height=height, language=language)
    assert parsed(picture).get("height") == str(height)
    rows = [float(text.get("y")) for text in all_of(picture, "text")]
    assert max(rows) <= height
    assert {"200", "100"} <= set(words(picture))
    numbers = [t for t in all_of(picture, "text") if t.text.isdecimal() and t.get("x") == "40"]
    rows = sorted(float(number.get("y")) for number in numbers)
    assert all(after - before >= 13 for before, after in pairwise(rows))
    names = [t for t in all_of(picture, "text") if t.get("x") == "4"]
    rows = sorted(float(name.get("y")) for name in names)
    assert len(rows) == 4
    assert all(after - before >= 12 for before, after in pairwise(rows))


def test_a_trend_is_never_so_low_that_it_cannot_be_read():
    assert trend(SESSION, height=1) == trend(SESSION, height=LOWEST)
    assert parsed(trend(SESSION)).get("height") == str(HEIGHT)


@pytest.mark.parametrize("theme", ["day", "dim", "board"])
def test_literal_colours_stand_alone_and_variables_stay_with_the_page(theme):
    alone = trend(SESSION, colours="literal", theme=theme)
    assert "currentColor" not in alone
    assert PALETTE["c-hr"][theme] in alone
    assert "#" not in trend(SESSION, theme=theme)


def test_every_class_drawn_is_in_the_palette():
    drawn = set(re.findall(r'class="(c-[a-z0-9]+)"', trend(SESSION) + arc(COURSE)))
    assert drawn == set(PALETTE) - {"c-paper"}


def test_a_gap_in_the_heart_rate_stays_a_gap():
    assert len(all_of(trend(SESSION), "polyline", "c-hr")) == 2
    whole = Trend(heart_rate=beats(0, 660))
    assert len(all_of(trend(whole), "polyline", "c-hr")) == 1


def test_three_missed_seconds_are_bridged_and_four_are_a_gap():
    assert len(runs([Point(D(0), D(80)), Point(D(3) / 60, D(80))], 1)) == 1
    assert len(runs([Point(D(0), D(80)), Point(D(4) / 60, D(80))], 1)) == 2


def test_a_one_second_dip_survives_the_thinning_of_a_long_session():
    dip = Point(D(50) / 60, D(71))
    points = [*beats(0, 50), dip, *beats(51, 14_400)]
    shown = decimated(points, Scale(0, 240, 0, 240))
    assert dip in shown
    assert len(shown) <= 2 * 240


def test_a_lone_reading_is_a_dot_hollow_when_typed_by_hand():
    [by_hand] = all_of(trend(SESSION), "circle", "c-hr")
    assert by_hand.get("fill") == "none"
    [device] = all_of(trend(SESSION), "circle", "c-spo2")
    assert device.get("fill") == "currentColor"


def test_a_value_off_the_scale_keeps_its_number_at_the_edge():
    said = words(trend(SESSION))
    assert "▲ 212" in said
    assert "▼ 36" in said


@pytest.mark.parametrize(("values", "arrow"), [((97, 79, 76, 97), "▼ 76"), ((97, 104), "▲ 104")])
def test_only_the_worst_value_of_a_spell_off_the_scale_is_worded(values, arrow):
    spell = [Point(D(n) / 60, D(value)) for n, value in enumerate(values)]
    assert [w for w in words(trend(Trend(spo2=spell))) if w[0] in "▲▼"] == [arrow]


def test_a_heart_rate_far_above_or_below_the_scale_is_worded_in_both_directions():
    spell = [Point(D(0), D(210)), Point(D(1) / 60, D(215)), Point(D(2) / 60, D(100))]
    low = [Point(D(5), D(38)), Point(D(5) + D(1) / 60, D(31))]
    said = words(trend(Trend(heart_rate=[*spell, *low])))
    assert [w for w in said if w[0] in "▲▼"] == ["▲ 215", "▼ 31"]


def test_a_failed_cuff_is_a_question_mark_and_not_a_value():
    assert words(trend(SESSION)).count("?") == 1
    good = Trend(pressures=[Pressure(D(1), D(120), D(80))])
    assert "?" not in words(trend(good))


def test_limits_are_dashed_with_the_protocols_words_and_a_baseline_is_dotted():
    dashes = {
        line.get("stroke-dasharray") for line in all_of(trend(SESSION), "polyline", "c-limit")
    }
    assert dashes == {"6 4", "1 3"}
    said = words(trend(SESSION))
    assert "SYS 160 amber: nurse, repeat" in said
    assert "SYS 162 too near to be worded" not in said
    assert "SYS 220 off the scale" not in said


def test_limits_left_out_of_the_picture_are_in_the_table():
    twin = trend_table(SESSION)
    assert "SYS 162 too near to be worded" in twin
    assert "SYS 220 off the scale" in twin


def test_what_is_stale_is_hatched_up_to_now_and_what_is_fresh_is_not():
    assert all_of(trend(SESSION), "path", "c-stale")
    fresh = Trend(heart_rate=beats(0, 60), now=D(1))
    assert not all_of(trend(fresh), "path", "c-stale")


def test_now_outside_the_picture_draws_no_line():
    assert not all_of(trend(Trend(now=D(500))), "polyline", "c-now")


def test_two_marks_on_one_minute_stand_on_two_rows():
    glyphs = all_of(trend(SESSION), "text", "c-mark")
    assert len({t.get("y") for t in glyphs}) == 2


def test_words_from_outside_cannot_become_markup():
    assert "&lt;limit&gt;" in trend(SESSION)
    assert "<limit>" not in trend(SESSION) + trend_table(SESSION)


def test_the_sentence_says_each_value_and_how_it_moved():
    spec = Trend(
        heart_rate=[Point(D(0), D(88)), Point(D(10), D(96))],
        spo2=[Point(D(0), D("97.5")), Point(D(10), D("95"))],
        respiratory_rate=[Point(D(0), D(14)), Point(D(10), D(14))],
        pressures=[Pressure(D(9), D(142), D(86))],
    )
    assert sentence(spec) == (
        "Session trend: HR 96 /min, up 8 in 10 min; SpO2 95 %, down 2.5 in 10 min; "
        "NIBP 142/86 mmHg (T+9); RR 14 /min, unchanged in 10 min"
    )
    assert "baisse de 2,5 en 10 min" in sentence(spec, "fr")


def test_the_sentence_says_silence_and_emptiness():
    assert "no data since T+20.2" in sentence(SESSION)
    assert sentence(Trend()) == "Session trend: no readings yet"


def test_the_table_says_no_value_where_there_is_none():
    twin = trend_table(SESSION)
    assert '<th scope="row">T-5</th><td>122/78 mmHg</td><td>no value</td>' in twin
    assert "172/98 mmHg, by hand" in twin
    assert "85, by hand" in twin
    assert "failed" in twin
    assert "Limits" not in trend_table(Trend())


def test_the_csv_has_every_sample_with_its_unit_and_source():
    lines = trend_csv(SESSION).split("\r\n")
    assert lines[0] == "minute,signal,value,unit,source"
    assert "5,systolic,172,mmHg,staff" in lines
    assert "11,systolic,,mmHg,device" in lines
    assert "20,heart_rate,85,/min,staff" in lines


def test_the_height_follows_from_the_spec_and_not_from_the_width():
    assert parsed(trend(SESSION, width=320)).get("height") == str(HEIGHT)


def test_a_missed_questionnaire_is_hollow_on_the_axis_and_breaks_the_line():
    dots = all_of(arc(COURSE), "circle", "c-score")
    assert [dot.get("fill") for dot in dots] == [
        "currentColor",
        "currentColor",
        "none",
        "none",
        "currentColor",
    ]
    assert len(all_of(arc(COURSE), "polyline", "c-score")) == 2


@pytest.mark.parametrize(("language", "word"), [("en", "moderate"), ("fr", "modérée")])
def test_the_arc_names_its_bands_and_lines_in_the_readers_language(language, word):
    said = words(arc(COURSE, language=language))
    assert word in said
    assert any("≤ 9" in w for w in said)
    assert any("< 5" in w for w in said)


def test_an_arc_without_a_baseline_has_no_response_line():
    assert len(all_of(arc(Arc(PHQ9)), "polyline", "c-limit")) == 1
    assert len(all_of(arc(COURSE), "polyline", "c-limit")) == 2


def test_response_and_remission_lines_that_nearly_meet_keep_their_words_apart():
    lines = all_of(arc(Arc(PHQ9, response_at=5)), "text", "c-limit")
    tops = sorted(float(t.get("y")) for t in lines)
    assert tops[1] - tops[0] >= 12


def test_today_outside_the_arc_is_not_drawn():
    assert not all_of(arc(Arc(PHQ9, today=400)), "polyline", "c-now")
    assert all_of(arc(COURSE), "polyline", "c-now")


def test_the_arc_is_also_a_sentence_a_table_and_a_csv():
    assert arc_sentence(COURSE) == "PHQ-9: 19 on day -7, 4 on day 21, 2 doses, 1 missed"
    assert arc_sentence(Arc(PHQ9)) == "PHQ-9: no score yet"
    assert "<td>missed</td>" in arc_table(COURSE)
    assert "<td>légère</td>" in arc_table(COURSE, language="fr")
    assert arc_csv(COURSE).split("\r\n")[:4] == [
        "day,phq9_points,band,events",
        "-7,19,moderately severe,",
        "0,18,moderately severe,dose 1",
        "1,,,therapy",
    ]


def test_a_spark_leaves_a_gap_where_a_score_is_missing():
    small = spark([D(19), D(15), None, D(12)], low=D(0), high=D(27), label="PHQ-9 19, 15, -, 12")
    assert len(all_of(small, "polyline")) == 1
    assert len(all_of(small, "circle")) == 1
    assert not all_of(spark([], low=D(0), high=D(27), label="none"), "polyline")


@pytest.mark.parametrize(
    ("number", "written"),
    [(0.04, "0"), (-0.04, "0"), (12.26, "12.3"), (3.0, "3"), (D("1.04"), "1")],
)
def test_pixels_are_rounded_to_a_tenth(number, written):
    assert px(number) == written


def test_numbers_are_written_as_people_write_them():
    assert (plain(D("95.0")), plain(D("1E+2")), told(D("97.5"), "fr")) == ("95", "100", "97,5")


def test_a_cell_that_looks_like_a_formula_is_made_text_and_a_negative_number_is_left():
    assert (
        csv(["a"], [["=1+1"], ["-5"], ["x,y"], ['"']]) == 'a\r\n\'=1+1\r\n-5\r\n"x,y"\r\n""""\r\n'
    )
