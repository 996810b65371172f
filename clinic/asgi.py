"""The program as uvicorn serves it. A policy that disagrees with the routes stops it here."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()

from clinic.people import access  # noqa: E402 - models need the application made above

access.check()
