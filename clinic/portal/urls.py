from django.urls import path

from clinic.portal import views

app_name = "portal"
urlpatterns = [
    path("help", views.help_page, name="help"),
    path("q/<str:token>/", views.questionnaire, name="questionnaire"),
    path("q/<str:token>/safe", views.safe, name="safe"),
    path("q/<str:token>/done", views.thanks, name="thanks"),
]
