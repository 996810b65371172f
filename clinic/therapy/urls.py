from django.urls import path

from clinic.therapy import views

app_name = "therapy"
urlpatterns = [path("<uuid:session_id>/", views.note, name="note")]
