from django.db import migrations

from clinic.guard import append_only, per_site, run, stamped

RECORDS = [
    "course_referral",
    "course_course",
    "course_session",
    "course_consent",
    "course_task",
    "course_taskentry",
    "course_fact",
    "course_listreview",
    "course_condition",
    "course_medication",
    "course_allergy",
    "course_trial",
    "course_decision",
    "course_override",
]
OF_A_COURSE = ["course_session", "course_consent", "course_task", "course_decision"]

# A child belongs to its parent's patient, whatever a program says (INV-08).
SAME_PATIENT = [
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_same_patient FOREIGN KEY (course_id, patient_id)"
    " REFERENCES course_course (id, patient_id)"
    for table in OF_A_COURSE
] + [
    "ALTER TABLE course_fact ADD CONSTRAINT course_fact_same_patient"
    " FOREIGN KEY (session_id, patient_id) REFERENCES course_session (id, patient_id)",
    "ALTER TABLE course_override ADD CONSTRAINT course_override_same_patient"
    " FOREIGN KEY (decision_id, patient_id) REFERENCES course_decision (id, patient_id)",
]


class Migration(migrations.Migration):
    dependencies = [("course", "0001_initial"), ("people", "0002_promises")]
    operations = [
        run(append_only(*RECORDS, "course_protocolversion", "course_signature")),
        run(stamped(*RECORDS, "course_protocolversion", "course_signature")),
        run(per_site(*RECORDS, "course_signature")),
        run(SAME_PATIENT),
    ]
