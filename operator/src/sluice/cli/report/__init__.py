"""The report: one release, told on one page for people who were not there."""
