"""Addresses of the dosing session."""

from django.urls import path

from clinic.dosing import views, views_home, views_live

app_name = "dosing"
urlpatterns = [
    path("board", views_live.board, name="board"),
    path("board/rows", views_live.board_rows, name="board_rows"),
    path("<uuid:session_id>", views_live.session, name="session"),
    path("<uuid:session_id>/order", views.order, name="order"),
    path("<uuid:session_id>/start", views.start, name="start"),
    path("<uuid:session_id>/stream", views_live.stream, name="stream"),
    path("<uuid:session_id>/chart", views_live.chart, name="chart"),
    path("<uuid:session_id>/event", views_live.event, name="event"),
    path("<uuid:session_id>/vitals", views_live.vitals, name="vitals"),
    path("<uuid:session_id>/alarm", views_live.alarm, name="alarm"),
    path("<uuid:session_id>/bind", views.bind, name="bind"),
    path("<uuid:session_id>/discharge", views_home.discharge, name="discharge"),
    path("<uuid:session_id>/record", views_live.record, name="record"),
]
