"""Every address of the program. Each has an entry in policy.toml, or the program does not start."""

from __future__ import annotations

from django.urls import include, path

from clinic.people import views as people
from clinic.ui import views as ui

urlpatterns = [
    path("", people.home, name="home"),
    path("healthz", people.healthz, name="healthz"),
    path("language", people.set_language, name="language"),
    path("admin/ui", ui.gallery, name="gallery"),
    path("", include("clinic.people.urls")),
    path("account/", include("allauth.account.urls")),
    path("account/mfa/", include("allauth.mfa.urls")),
    path("today/", include("clinic.today.urls")),
    path("self-check/", include("clinic.portal.self_check_urls")),
    path("me/", include("clinic.portal.urls")),
    path("intake/", include("clinic.intake.urls")),
    path("courses/", include("clinic.outcomes.urls")),
    path("protocols/", include("clinic.protocols.urls")),
    path("sessions/", include("clinic.dosing.urls")),
    path("therapy/", include("clinic.therapy.urls")),
    path("devices/", include("clinic.interop.urls")),
]

handler400 = "clinic.ui.views.bad_request"
handler403 = "clinic.ui.views.forbidden"
handler404 = "clinic.ui.views.not_found"
handler500 = "clinic.ui.views.server_error"
