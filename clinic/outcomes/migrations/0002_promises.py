from django.db import migrations

from clinic.guard import append_only, per_site, run, stamped

TABLES = ["outcomes_questionnairelink", "outcomes_response"]

LINK = [
    # A patient with a link belongs to no site yet: the link's own row says which.
    "CREATE FUNCTION afterglow_link(hash text) RETURNS TABLE (link uuid, site text)"
    " LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public"
    " AS $$SELECT id, site_id::text FROM public.outcomes_questionnairelink"
    " WHERE token_hash = hash$$",
    "REVOKE ALL ON FUNCTION afterglow_link(text) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION afterglow_link(text) TO ag_app",
]


class Migration(migrations.Migration):
    dependencies = [("outcomes", "0001_initial"), ("course", "0002_promises")]
    operations = [
        run(append_only(*TABLES)),
        run(stamped(*TABLES)),
        run(per_site(*TABLES)),
        run(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_same_patient"
            " FOREIGN KEY (course_id, patient_id) REFERENCES course_course (id, patient_id)"
            for table in TABLES
        ),
        run(LINK),
    ]
