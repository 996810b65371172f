"""What medicine says about ketamine-assisted psychotherapy: a pure library, no clock and no database."""
