"""Static files: answered whole, in part and not at all, without a word on stderr."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from whitenoise.middleware import WhiteNoiseMiddleware

from clinic.ui.static_files import StaticFiles

BODY = b"body { color: inherit }" * 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.css").write_bytes(BODY)
    return tmp_path


def answered(
    folder: Path, kind: type[WhiteNoiseMiddleware] = StaticFiles, **headers: str
) -> HttpResponse:
    files = kind(lambda _request: HttpResponse(status=404))
    files.add_files(str(folder), prefix="/static/")
    found: HttpResponse = files(RequestFactory().get("/static/a.css", headers=headers))
    return found


def test_a_file_is_answered_whole_with_its_type(folder: Path) -> None:
    answer = answered(folder)
    assert (answer.status_code, answer.content) == (HTTPStatus.OK, BODY)
    assert answer["Content-Type"] == 'text/css; charset="utf-8"'
    assert not answer.streaming


def test_the_part_that_was_asked_for_is_answered(folder: Path) -> None:
    answer = answered(folder, range="bytes=2-5")
    assert (answer.status_code, answer.content) == (HTTPStatus.PARTIAL_CONTENT, BODY[2:6])


def test_a_file_that_the_browser_has_is_not_sent_again(folder: Path) -> None:
    told = answered(folder)["Last-Modified"]
    again = answered(folder, if_modified_since=told)
    assert (again.status_code, again.content) == (HTTPStatus.NOT_MODIFIED, b"")


@pytest.mark.django_db  # the end of an answer looks after connections
def test_whitenoises_own_answer_is_what_an_event_loop_warns_of(folder: Path) -> None:
    """The negative control: its file must be read by a thread, and Django says so."""
    answer = answered(folder, WhiteNoiseMiddleware)
    assert isinstance(answer, StreamingHttpResponse)

    async def read() -> list[bytes]:
        return [part async for part in answer]

    with pytest.warns(Warning, match="must consume synchronous iterators"):
        assert b"".join(asyncio.run(read())) == BODY
    answer.close()
