from django.urls import path

from clinic.today import views

app_name = "today"
urlpatterns = [
    path("", views.today, name="today"),
    path("booked", views.before_the_booked, name="booked"),
    path("patients", views.patients, name="patients"),
    path("tasks/<uuid:task_id>/close", views.close_task, name="close_task"),
    path("audit", views.audit_log, name="audit"),
]
