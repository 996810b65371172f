from django.db import migrations

from clinic.guard import OWN_SITE, append_only, policy, run, stamped

FUNCTIONS = [
    # The one clock of gates and waits. Only a test database replaces it; the boot check looks.
    "CREATE FUNCTION afterglow_now() RETURNS timestamptz LANGUAGE sql VOLATILE"
    " AS 'SELECT clock_timestamp()'",
    # Never set reads NULL, set in an earlier transaction reads '': both show nothing.
    "CREATE FUNCTION afterglow_sites() RETURNS text[] LANGUAGE sql STABLE"
    " AS $$SELECT string_to_array(NULLIF(current_setting('afterglow.sites', true), ''), ',')$$",
    "CREATE FUNCTION afterglow_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP"
    " USING ERRCODE = 'insufficient_privilege'; END $$",
    "CREATE FUNCTION afterglow_stamp() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN NEW.recorded_at := afterglow_now(); RETURN NEW; END $$",
]


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [
        run(FUNCTIONS),
        run(append_only("audit_event", "audit_seal", "audit_receipt")),
        run(stamped("audit_event", "audit_receipt")),
        run(policy("audit_event", visible=f"site_id = '' OR {OWN_SITE}")),
        run(policy("audit_seal", visible=f"site_id = '' OR {OWN_SITE}")),
    ]
