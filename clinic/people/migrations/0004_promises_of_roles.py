from django.db import migrations

from clinic.guard import (
    APP_ROLES,
    OWN_SITE,
    append_only,
    lock_row,
    per_site,
    policy,
    read_only,
    run,
    stamped,
)

ROLES_END = [
    # A role is read before a transaction has its sites; it is given and ended at the own site only.
    *lock_row("people_role", ["ended_at", "ended_by"]),
    *policy("people_role", visible="true", insertable=OWN_SITE),
    *stamped("people_role"),
    "CREATE FUNCTION afterglow_role_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN IF OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL THEN"
    " RAISE EXCEPTION 'a role ends once and never comes back'"
    " USING ERRCODE = 'insufficient_privilege'; END IF;"
    " NEW.ended_at := afterglow_now(); RETURN NEW; END $$",
    "CREATE TRIGGER people_role_ends_once BEFORE UPDATE ON people_role"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_role_ends_once()",
    # One more member of staff, and a name or licence number put right.
    *lock_row("people_staff", ["name", "licence_number"]),
]

# The code opens the offer at the site it was made for and nowhere else, and only while it lasts.
OFFERED = [
    "CREATE FUNCTION afterglow_offered(code text, here text) RETURNS uuid LANGUAGE sql STABLE"
    " SECURITY DEFINER SET search_path = pg_catalog, public AS $$"
    " SELECT patient_id FROM people_enrolmentoffer WHERE code_hash = code AND to_site_id = here"
    " AND here = ANY (afterglow_sites()) AND expires_at > afterglow_now() $$",
    "REVOKE ALL ON FUNCTION afterglow_offered FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION afterglow_offered TO {APP_ROLES}",
]


class Migration(migrations.Migration):
    dependencies = [("people", "0003_roles_end")]
    operations = [
        run(ROLES_END),
        run(read_only("people_room")),
        run(append_only("people_enrolmentoffer")),
        run(stamped("people_enrolmentoffer")),
        run(per_site("people_enrolmentoffer")),
        run(OFFERED),
    ]
