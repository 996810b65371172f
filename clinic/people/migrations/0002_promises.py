from django.db import migrations

from clinic.guard import OWN_SITE, append_only, per_site, policy, read_only, run, stamped

ENROLLED = (
    "EXISTS (SELECT 1 FROM people_enrolment e"
    f" WHERE e.patient_id = people_patient.id AND e.{OWN_SITE})"
)


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial"), ("audit", "0002_promises")]
    operations = [
        run(read_only("people_installation", "people_site", "people_staff", "people_role")),
        run(append_only("people_patient", "people_enrolment")),
        run(stamped("people_installation", "people_patient", "people_enrolment")),
        run(
            policy(
                "people_patient",
                visible=ENROLLED,
                insertable="cardinality(afterglow_sites()) > 0",
            )
        ),
        run(per_site("people_enrolment")),
    ]
