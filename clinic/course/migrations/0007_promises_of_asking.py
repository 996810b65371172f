from django.db import migrations

from clinic.guard import append_only, per_site, run, stamped

# An asking is its patient's and its course's, and read by the bytes of a registered version.
OF_ITS_OWN = [
    "ALTER TABLE course_asking ADD CONSTRAINT course_asking_same_patient"
    " FOREIGN KEY (course_id, patient_id) REFERENCES course_course (id, patient_id)",
    "ALTER TABLE course_asking ADD CONSTRAINT course_asking_same_patient_session"
    " FOREIGN KEY (session_id, patient_id) REFERENCES course_session (id, patient_id)",
    "ALTER TABLE course_asking ADD CONSTRAINT course_asking_same_course"
    " FOREIGN KEY (before_id, course_id) REFERENCES course_asking (id, course_id)",
    "ALTER TABLE course_asking ADD CONSTRAINT course_asking_bytes"
    " FOREIGN KEY (protocol_id, digest) REFERENCES course_protocolversion (name, digest)",
]


class Migration(migrations.Migration):
    dependencies = [("course", "0006_asking")]
    operations = [
        run(append_only("course_asking")),
        run(stamped("course_asking")),
        run(per_site("course_asking")),
        run(OF_ITS_OWN),
    ]
