from django.db import migrations

from clinic.guard import append_only, per_site, run, stamped

TABLES = ["course_proposal", "course_withdrawal", "course_protocolmove"]

# What is signed is what was proposed, and both are the bytes of the registered version.
AS_PROPOSED = [
    "ALTER TABLE course_proposal ADD CONSTRAINT course_proposal_bytes"
    " FOREIGN KEY (protocol_id, digest) REFERENCES course_protocolversion (name, digest)",
    "ALTER TABLE course_signature ADD CONSTRAINT course_signature_as_proposed"
    " FOREIGN KEY (proposal_id, site_id, protocol_id, digest, proposer_id)"
    " REFERENCES course_proposal (id, site_id, protocol_id, digest, proposer_id)",
]

# A course is pinned. Only the row of a move unpins it, inside the owner's own function.
MOVES = [
    "ALTER TABLE course_protocolmove ADD CONSTRAINT course_protocolmove_same_patient"
    " FOREIGN KEY (course_id, patient_id) REFERENCES course_course (id, patient_id)",
    "CREATE FUNCTION afterglow_course_pinned() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN IF TG_OP = 'UPDATE' AND pg_trigger_depth() > 1"
    " AND to_jsonb(NEW) - 'protocol_id' = to_jsonb(OLD) - 'protocol_id' THEN RETURN NEW; END IF;"
    " RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP"
    " USING ERRCODE = 'insufficient_privilege'; END $$",
    "DROP TRIGGER course_course_append_only ON course_course",
    "CREATE TRIGGER course_course_append_only BEFORE UPDATE OR DELETE ON course_course"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_course_pinned()",
    "CREATE FUNCTION afterglow_move_course() RETURNS trigger LANGUAGE plpgsql"
    " SECURITY DEFINER SET search_path = pg_catalog, public AS $$"
    " BEGIN UPDATE course_course SET protocol_id = NEW.to_protocol_id"
    " WHERE id = NEW.course_id AND site_id = NEW.site_id AND protocol_id = NEW.from_protocol_id;"
    " IF NOT FOUND THEN RAISE EXCEPTION 'the course is not under %', NEW.from_protocol_id"
    " USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NULL; END $$",
    "CREATE TRIGGER course_protocolmove_moves AFTER INSERT ON course_protocolmove"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_move_course()",
]


class Migration(migrations.Migration):
    dependencies = [("course", "0003_signing")]
    operations = [
        run(append_only(*TABLES)),
        run(stamped(*TABLES)),
        run(per_site(*TABLES)),
        run(AS_PROPOSED),
        run(MOVES),
    ]
