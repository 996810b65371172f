from django.urls import path

from clinic.portal import self_check

app_name = "self_check"
urlpatterns = [
    path("<slug:site>/", self_check.start, name="start"),
    path("<slug:site>/agree", self_check.agree, name="agree"),
    path("<slug:site>/thanks", self_check.thanks, name="thanks"),
]
