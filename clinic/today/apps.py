from django.apps import AppConfig


class TodayConfig(AppConfig):
    name = "clinic.today"
    label = "today"
