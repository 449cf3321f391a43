"""PostgreSQL: tables, migrations, queries, the embedded server."""
