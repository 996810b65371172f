from django.urls import path

from clinic.people import views_staff

app_name = "people"
urlpatterns = [
    path("admin/staff/", views_staff.staff, name="staff"),
    path("admin/staff/<slug:site>/invite", views_staff.invite, name="invite"),
    path("admin/staff/<slug:site>/<uuid:staff_id>/", views_staff.person, name="person"),
    path("admin/staff/<slug:site>/<uuid:staff_id>/link", views_staff.link, name="link"),
    path("welcome/<uuid:staff_id>/<str:token>/", views_staff.welcome, name="welcome"),
]
