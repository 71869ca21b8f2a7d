"""Cohorts: many scans on one machine or on many, each done once, with a manifest that says what became of it."""
