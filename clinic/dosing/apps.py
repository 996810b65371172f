from django.apps import AppConfig


class DosingConfig(AppConfig):
    name = "clinic.dosing"
    label = "dosing"
