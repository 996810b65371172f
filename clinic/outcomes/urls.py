from django.urls import path

from clinic.outcomes import views

app_name = "outcomes"
urlpatterns = [
    path("<uuid:course_id>/", views.course, name="course"),
    path("<uuid:course_id>/plan", views.plan, name="plan"),
    path("<uuid:course_id>/send", views.send, name="send"),
    path("responses/<uuid:response_id>/", views.response, name="response"),
]
