from django.db import migrations

from clinic.guard import append_only, lock_row, per_site, run, stamped

RECORDS = [
    "dosing_order",
    "dosing_startauthorization",
    "dosing_sessionevent",
    "dosing_observation",
]
LOCKED = ["dosing_infusion", "dosing_loghead", "dosing_alarm", "dosing_association"]

SAME_PATIENT = [
    f"ALTER TABLE {table} ADD CONSTRAINT {table}_same_patient FOREIGN KEY (session_id, patient_id)"
    " REFERENCES course_session (id, patient_id)"
    for table in [*RECORDS, *LOCKED]
] + [
    "ALTER TABLE dosing_startauthorization ADD CONSTRAINT dosing_auth_order_same_patient"
    " FOREIGN KEY (order_id, patient_id) REFERENCES dosing_order (id, patient_id)",
    # The infusion carries its authorization's own times: one key, all or nothing (INV-01).
    "ALTER TABLE dosing_infusion ADD CONSTRAINT dosing_infusion_authorization FOREIGN KEY"
    " (authorization_id, patient_id, order_id, auth_decided_at, auth_expires_at) REFERENCES"
    " dosing_startauthorization (id, patient_id, order_id, decided_at, expires_at)",
    "ALTER TABLE dosing_startauthorization ADD CONSTRAINT dosing_auth_short"
    " CHECK (expires_at <= decided_at + interval '15 min')",
]

START = [
    # Sees every site: a dose elsewhere counts too. It tells an instant and nothing else (INV-06).
    "CREATE FUNCTION afterglow_last_start(patient uuid) RETURNS timestamptz LANGUAGE sql STABLE"
    " SECURITY DEFINER SET search_path = pg_catalog, public"
    " AS $$SELECT max(started_at) FROM public.dosing_infusion WHERE patient_id = patient$$",
    "REVOKE ALL ON FUNCTION afterglow_last_start(uuid) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION afterglow_last_start(uuid) TO ag_app, ag_worker",
    # Yes or no, over every site: has a dose begun that nobody was discharged from (INV-25)?
    "CREATE FUNCTION afterglow_is_dosed(patient uuid) RETURNS boolean LANGUAGE sql STABLE"
    " SECURITY DEFINER SET search_path = pg_catalog, public"
    " AS $$SELECT EXISTS (SELECT 1 FROM public.dosing_infusion"
    " WHERE patient_id = patient AND discharged_at IS NULL)$$",
    "REVOKE ALL ON FUNCTION afterglow_is_dosed(uuid) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION afterglow_is_dosed(uuid) TO ag_app, ag_worker",
    "CREATE FUNCTION afterglow_start() RETURNS trigger LANGUAGE plpgsql AS $$"
    " DECLARE hours smallint; last timestamptz; BEGIN"
    " NEW.started_at := afterglow_now();"
    " SELECT min_interval_h INTO hours FROM dosing_startauthorization"
    "  WHERE id = NEW.authorization_id;"
    " last := afterglow_last_start(NEW.patient_id);"
    " IF last IS NOT NULL AND NEW.started_at < last + make_interval(hours => hours) THEN"
    "  RAISE EXCEPTION 'start refused: too soon' USING ERRCODE = 'check_violation';"
    " END IF; RETURN NEW; END $$",
    "CREATE TRIGGER dosing_infusion_start BEFORE INSERT ON dosing_infusion"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_start()",
    "CREATE TRIGGER dosing_infusion_stays BEFORE DELETE ON dosing_infusion"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_refuse_change()",
]


class Migration(migrations.Migration):
    dependencies = [("dosing", "0001_initial"), ("course", "0002_promises")]
    operations = [
        run(append_only(*RECORDS)),
        run(stamped(*RECORDS, "dosing_association")),
        run(lock_row("dosing_infusion", ["state", "stopped_at", "delivered_ug", "discharged_at"])),
        run(lock_row("dosing_loghead", ["seq"])),
        run(lock_row("dosing_alarm", ["state"])),
        run(lock_row("dosing_association", ["released_at"])),
        run(lock_row("dosing_heartbeat", ["at"])),
        run(lock_row("dosing_device", ["room"])),
        run(per_site(*RECORDS, *LOCKED, "dosing_device")),
        run(SAME_PATIENT),
        run(START),
    ]
