from django.db import migrations

from clinic.guard import run

# The SQL of kap.ceilings.ceiling_check_sql() on 2026-11-24; a test compares database and file.
CEILINGS = (
    "(route = 'IV' AND weight_g BETWEEN 35000 AND 200000 AND mg_per_kg <= 1.0 AND dose_ug <= "
    "1.0 * weight_g AND dose_ug <= 0.025 * weight_g * minutes AND minutes >= 40)"
)


class Migration(migrations.Migration):
    dependencies = [("dosing", "0002_promises")]
    operations = [
        run([f"ALTER TABLE dosing_order ADD CONSTRAINT dosing_order_ceilings CHECK ({CEILINGS})"])
    ]
