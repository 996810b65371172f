from django.db import migrations

from clinic.guard import append_only, read_only, run, stamped

TABLE = "people_premisesapproval"
# The owner alone writes an approval; the program reads it. Nobody changes one.
KEPT = [statement for statement in append_only(TABLE) if not statement.startswith("GRANT")]


class Migration(migrations.Migration):
    dependencies = [("people", "0005_premises")]
    operations = [run(read_only(TABLE)), run(KEPT), run(stamped(TABLE))]
