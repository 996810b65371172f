from django.db import migrations, models

from clinic.guard import run

STATEMENTS = [
    "GRANT UPDATE (left_at) ON dosing_infusion TO ag_app, ag_worker",
    "ALTER TABLE dosing_infusion ADD CONSTRAINT dosing_infusion_leaves_one_way"
    " CHECK (left_at IS NULL OR discharged_at IS NULL)",
    # Whoever left against advice is under no dose that this clinic watches over.
    "CREATE OR REPLACE FUNCTION afterglow_is_dosed(patient uuid) RETURNS boolean LANGUAGE sql STABLE"
    " SECURITY DEFINER SET search_path = pg_catalog, public"
    " AS $$SELECT EXISTS (SELECT 1 FROM public.dosing_infusion WHERE patient_id = patient"
    " AND discharged_at IS NULL AND left_at IS NULL)$$",
]


class Migration(migrations.Migration):
    dependencies = [("dosing", "0003_ceilings")]
    operations = [
        migrations.AddField("infusion", "left_at", models.DateTimeField(null=True)),
        run(STATEMENTS),
    ]
