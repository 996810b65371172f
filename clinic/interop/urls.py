"""Addresses of the device pages."""

from django.urls import path

from clinic.interop import views

app_name = "devices"
urlpatterns = [
    path("quarantine", views.quarantine, name="quarantine"),
    path("quarantine/<uuid:quarantine_id>", views.resolve, name="resolve"),
]
