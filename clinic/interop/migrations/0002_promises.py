from django.db import migrations

from clinic.guard import OWN_SITE, append_only, policy, run, stamped

TABLES = ["interop_message", "interop_quarantine", "interop_resolution"]


class Migration(migrations.Migration):
    dependencies = [("interop", "0001_initial"), ("audit", "0002_promises")]
    operations = [
        run(append_only(*TABLES)),
        run(stamped("interop_quarantine", "interop_resolution")),
        # A sender nobody knows has no site: such a message is shown to those who mind devices.
        run(
            statement
            for table in TABLES
            for statement in policy(table, visible=f"site_id = '' OR {OWN_SITE}")
        ),
    ]
