from django.apps import AppConfig


class TherapyConfig(AppConfig):
    name = "clinic.therapy"
    label = "therapy"
