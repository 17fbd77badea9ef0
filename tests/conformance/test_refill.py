"""The refill gives back what the fixture had, on both databases, whatever was done to the tables."""

from __future__ import annotations

import json
from pathlib import Path

import sqlalchemy as sa
from tests.conformance.fixture_tables import build, load, read
from tests.conformance.refill import engine_for, keep_waiting, refill_of

FIXTURE = {
    "tables": [
        {
            "name": "Odd; name$",
            "tier": "portable",
            "columns": [
                {
                    "name": "id",
                    "type": "integer",
                    "pg_type": "integer",
                    "nullable": False,
                    "default": {"identity": "always"},
                },
                {"name": "a text", "type": "text", "pg_type": "text", "nullable": True},
                {
                    "name": "twice",
                    "type": "text",
                    "pg_type": "text",
                    "nullable": True,
                    "generated": '"a text" || "a text"',
                },
            ],
            "primary_key": ["id"],
            "primary_key_name": "odd_pkey",
            "unique": [],
            "foreign_keys": [],
            "next": {"id": 8},
            "rows": [[7, "seven", None], [3, "three", None]],
        },
        {
            "name": "below",
            "tier": "portable",
            "columns": [
                {"name": "odd_id", "type": "integer", "pg_type": "integer", "nullable": True},
                {"name": "list", "type": "array", "items": "integer", "pg_type": "integer[]", "nullable": True},
            ],
            "primary_key": [],
            "primary_key_name": None,
            "unique": [],
            "foreign_keys": [
                {
                    "name": "below_odd_id_fkey",
                    "columns": ["odd_id"],
                    "ref_table": "Odd; name$",
                    "ref_columns": ["id"],
                    "on_update": "NO ACTION",
                    "on_delete": "CASCADE",
                }
            ],
            "rows": [[7, [1, 2]]],
        },
    ]
}


def test_a_refill_gives_back_rows_order_and_next_id(database_url: str, tmp_path: Path) -> None:
    path, waiting = tmp_path / "fixture.json", tmp_path / "waiting.db"
    path.write_text(json.dumps(FIXTURE))
    engine = engine_for(database_url)
    described = read(path, engine.dialect.name)
    odd, below = build(described, sa.MetaData(), engine.dialect.name)
    load(engine, described, [odd, below])
    keep_waiting(engine, described, waiting)
    refill = refill_of(database_url, described, str(waiting))
    refill()
    for _ in range(2):
        with engine.begin() as connection:
            connection.execute(below.delete())
            connection.execute(odd.update().values({"a text": "changed"}).where(odd.c.id == 3))
            assert 8 == connection.execute(odd.insert().values({"a text": "new"}).returning(odd.c.id)).scalar()
        refill()
        with engine.connect() as connection:
            texts = connection.execute(sa.select(odd.c["a text"], odd.c.twice).order_by(odd.c.id)).all()
            assert [("three", "threethree"), ("seven", "sevenseven")] == texts
            assert [(7, [1, 2])] == connection.execute(sa.select(below)).all()
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA waiting CASCADE")
