from django.db import migrations, models

from clinic.guard import run

# A discharge holds the wait that the infusion carries, in UTC, or an override of the protocol's
# rule of time, GO-TIME, that stands for this course and its version (INV-09). A rule of level A has
# no override to find. A row from before this promise carries no minutes and keeps the older ones.
STATEMENTS = [
    "CREATE FUNCTION afterglow_wait_is_lifted(infusion dosing_infusion) RETURNS boolean"
    " LANGUAGE sql STABLE AS $$SELECT EXISTS (SELECT 1 FROM course_override AS lift"
    "  JOIN course_decision AS decision ON decision.id = lift.decision_id"
    "  JOIN course_session AS session ON session.course_id = decision.course_id"
    "  JOIN course_course AS course ON course.id = decision.course_id"
    "   AND course.protocol_id = decision.protocol_id"
    "  WHERE session.id = infusion.session_id AND lift.rule_id = 'GO-TIME'"
    "   AND lift.expires_at > infusion.discharged_at)$$",
    "CREATE FUNCTION afterglow_discharge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF TG_OP = 'INSERT' THEN"
    "  IF NEW.discharge_min IS NULL OR NEW.discharge_min = 0 OR NEW.discharged_at IS NOT NULL THEN"
    "   RAISE EXCEPTION 'start refused: the wait before a discharge is not told, or over already'"
    "    USING ERRCODE = 'check_violation'; END IF;"
    "  RETURN NEW; END IF;"
    " IF NEW.discharged_at IS NOT DISTINCT FROM OLD.discharged_at THEN RETURN NEW; END IF;"
    " IF OLD.discharged_at IS NOT NULL THEN"
    "  RAISE EXCEPTION 'a discharge is written once' USING ERRCODE = 'check_violation'; END IF;"
    " IF NEW.stopped_at IS NULL OR NEW.state <> 'stopped'"
    "  OR NEW.discharged_at > afterglow_now() THEN"
    "  RAISE EXCEPTION 'discharge refused: not stopped, or still to come'"
    "   USING ERRCODE = 'check_violation'; END IF;"
    " IF NEW.discharged_at < NEW.stopped_at + make_interval(mins => NEW.discharge_min)"
    "  AND NOT afterglow_wait_is_lifted(NEW) THEN"
    "  RAISE EXCEPTION 'discharge refused: % minutes from the stop are not over',"
    "   NEW.discharge_min USING ERRCODE = 'check_violation'; END IF;"
    " RETURN NEW; END $$",
    "CREATE TRIGGER dosing_infusion_waits BEFORE INSERT OR UPDATE ON dosing_infusion"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_discharge()",
]


class Migration(migrations.Migration):
    dependencies = [("dosing", "0004_left_against_advice")]
    operations = [
        migrations.AddField(
            "infusion", "discharge_min", models.PositiveSmallIntegerField(null=True)
        ),
        run(STATEMENTS),
    ]
