from django.apps import AppConfig


class CourseConfig(AppConfig):
    name = "clinic.course"
    label = "course"
