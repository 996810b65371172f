"""Static files under ASGI: answered whole.

WhiteNoise answers with a file to iterate, which an event loop cannot wait for: Django warns and
reads it all anyway, in a thread. Each of our files is small and unchanging.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # WhiteNoise is not typed
    """WhiteNoise, whose answers have their bytes and no iterator."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        """Return the file, or the part of it that was asked for, with WhiteNoise's own headers."""
        told = static_file.get_response(request.method, request.META)
        body = b""
        if told.file is not None:
            with told.file as file:
                body = file.read()
        answer = HttpResponse(body, status=int(told.status))
        del answer["content-type"]
        for name, value in told.headers:
            answer[name] = value
        return answer
