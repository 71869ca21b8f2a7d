"""The report of an evaluation: tables, charts and pictures on one page."""
