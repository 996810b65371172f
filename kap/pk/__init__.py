"""Pharmacokinetics: exact curves of published population models, for explanation and review.

A model is never a measurement: no gate, alarm, dose or session reads anything from here.
Amounts are mg of base, times are minutes, concentrations are ng/mL or nmol/mL. Binary floats are
allowed here and nowhere near a dose. Source: docs/algorithms/pharmacokinetics.md.
"""
