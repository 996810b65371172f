from django.db import migrations, models

from clinic.guard import APP_ROLES, OWN_SITE, policy, run

HERE = f"site_id = '' OR {OWN_SITE}"
SEALER = "ag_worker"
CHAINED_SO_FAR = (
    "INSERT INTO audit_head (site_id, seq, hash, recorded_at)"
    " SELECT DISTINCT ON (site_id) site_id, seq, hash, afterglow_now()"
    " FROM audit_seal ORDER BY site_id, seq DESC"
)
# A head that goes back would hide links cut off behind it.
ONLY_GROWS = [
    "CREATE FUNCTION afterglow_head_grows() RETURNS trigger LANGUAGE plpgsql AS $$"
    " BEGIN IF NEW.site_id <> OLD.site_id OR NEW.seq <= OLD.seq THEN"
    " RAISE EXCEPTION 'a head only grows: % after % refused', NEW.seq, OLD.seq"
    " USING ERRCODE = 'insufficient_privilege'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER audit_head_grows BEFORE UPDATE ON audit_head"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_head_grows()",
    "CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head"
    " FOR EACH ROW EXECUTE FUNCTION afterglow_refuse_change()",
    "CREATE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head"
    " FOR EACH STATEMENT EXECUTE FUNCTION afterglow_refuse_change()",
]
# Who seals and who walks is the watch alone; the app reads what they found.
WORKER_WRITES = [
    f"GRANT SELECT ON audit_head, audit_walk TO {APP_ROLES}",
    f"GRANT INSERT ON audit_head, audit_walk TO {SEALER}",
    f"GRANT UPDATE (seq, hash, recorded_at) ON audit_head TO {SEALER}",
    f"GRANT UPDATE ON audit_walk TO {SEALER}",
    "REVOKE INSERT ON audit_seal FROM ag_app",
]


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_promises")]
    operations = [
        migrations.CreateModel(
            name="Head",
            fields=[
                (
                    "site_id",
                    models.CharField(
                        blank=True, max_length=40, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.BigIntegerField()),
                ("hash", models.CharField(max_length=64)),
                ("recorded_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Walk",
            fields=[
                (
                    "site_id",
                    models.CharField(
                        blank=True, max_length=40, primary_key=True, serialize=False
                    ),
                ),
                ("seq", models.BigIntegerField(default=0)),
                ("hash", models.CharField(blank=True, max_length=64)),
                ("began_at", models.DateTimeField(null=True)),
                ("whole_seq", models.BigIntegerField(default=0)),
                ("whole_hash", models.CharField(blank=True, max_length=64)),
                ("whole_from", models.DateTimeField(null=True)),
                ("broken_seq", models.BigIntegerField(null=True)),
                ("broken_why", models.CharField(blank=True, max_length=200)),
            ],
        ),
        run([CHAINED_SO_FAR, *ONLY_GROWS, *WORKER_WRITES]),
        run(policy("audit_head", visible=HERE)),
        run(policy("audit_walk", visible=HERE)),
    ]
