from django.db import migrations

from clinic.guard import append_only, per_site, run, stamped


class Migration(migrations.Migration):
    dependencies = [("therapy", "0001_initial"), ("course", "0002_promises")]
    operations = [
        run(append_only("therapy_note")),
        run(stamped("therapy_note")),
        run(per_site("therapy_note")),
        run(
            [
                "ALTER TABLE therapy_note ADD CONSTRAINT therapy_note_same_patient"
                " FOREIGN KEY (session_id, patient_id) REFERENCES course_session (id, patient_id)"
            ]
        ),
    ]
