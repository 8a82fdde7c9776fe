"""Questions in plain English over any SQLite database: plan, run read-only, say the rows in words."""
