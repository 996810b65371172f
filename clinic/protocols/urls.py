from django.urls import path

from clinic.protocols import views

app_name = "protocols"
urlpatterns = [
    path("", views.protocols, name="list"),
    path("courses/<uuid:course_id>/", views.move, name="move"),
    path("proposals/<uuid:proposal_id>/sign", views.sign, name="sign"),
    path("signatures/<uuid:signature_id>/withdraw", views.withdraw, name="withdraw"),
    path("<str:name>/", views.protocol, name="protocol"),
    path("<str:name>/propose/<slug:site>", views.propose, name="propose"),
]
