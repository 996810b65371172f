"""Addresses of intake."""

from django.urls import path

from clinic.intake import views, views_decision
from clinic.intake.enrolment import views as enrolment

app_name = "intake"
urlpatterns = [
    path("referrals/", views.referrals, name="referrals"),
    path("referrals/<uuid:referral_id>/", views.referral, name="referral"),
    path("enrol/", enrolment.enrol, name="enrol"),
    path("<uuid:course_id>/elsewhere", enrolment.offer, name="offer"),
    path("", views.worklist, name="worklist"),
    path("<uuid:course_id>/", views.screening, name="screening"),
    path("<uuid:course_id>/facts", views.record_facts, name="record_facts"),
    path("<uuid:course_id>/lists/<str:kind>/", views.review_list, name="review_list"),
    path("<uuid:course_id>/review", views_decision.review, name="review"),
    path("<uuid:course_id>/what-if", views_decision.what_if, name="what_if"),
    path("<uuid:course_id>/consent", views_decision.consent, name="consent"),
    path(
        "consents/<uuid:consent_id>/withdraw",
        views_decision.withdraw_consent,
        name="withdraw_consent",
    ),
    path("decisions/<uuid:decision_id>/", views_decision.decision, name="decision"),
    path("decisions/<uuid:decision_id>/file", views_decision.decision_file, name="decision_file"),
]
