"""The policies of the catalogue as PostgreSQL's own row-level security: a second wall for other programs.

It writes a script and executes nothing. Portero owns its tables, so its own statements pass this wall and stand behind
the first one; the wall is for sessions of another role that read the same database. What such a session may set itself
(`portero.me_id`) proves nothing: whoever gives it the connection sets it.

A condition that looks into another table stands in a function that runs as its owner, so that the other table's wall
does not change its answer, and the role needs no right on it. Obeys
docs/explanation/policies.md; PostgreSQL, CREATE POLICY.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from portero.data.caller import ME_ID, ME_ROLE
from portero.data.catalogue import Catalogue, Model
from portero.data.policy import Verb
from portero.errors import ConfigurationError

_FACTS: Final = {
    ME_ID: sa.literal_column("(SELECT nullif(current_setting('portero.me_id', true), '')::uuid)", sa.Uuid()),
    ME_ROLE: sa.literal_column(
        "(SELECT coalesce(nullif(current_setting('portero.me_role', true), ''), 'anon'))", sa.Text()
    ),
}
_LONGEST_NAME: Final = 63


def script(catalogue: Catalogue, role: str) -> str:
    """Write the script: the role, its rights, and every policy.

    Args:
        catalogue: built for `postgresql`.
        role: the database role that the wall is for; made if it is not there.

    Raises:
        ConfigurationError: a policy holds a value that cannot be written as SQL; the sentence names it.
    """
    writer = _Writer(role)
    models = catalogue.models.values()
    schemas = dict.fromkeys(model.table.schema or "public" for model in models)
    parts = [writer.head(), *map(writer.schema, schemas), *map(writer.model, models)]
    return "\n".join(parts) + "\nCOMMIT;\n"


class _Writer:
    """Writes for one role."""

    def __init__(self, role: str) -> None:
        kind: Any = sa.make_url("postgresql://").get_dialect()
        self.dialect: sa.Dialect = kind(paramstyle="named")  # others double the percent signs
        self.quote = self.dialect.identifier_preparer.quote
        self.role = self.quote(role)
        self.name = _text(role)

    def head(self) -> str:
        """Make the role, and take away what an earlier script gave it."""
        lines = [
            "-- Run as the owner of the tables, again after every change of a model or a policy.",
            "BEGIN;",
            "SET LOCAL search_path = public;",
            "DO $$ DECLARE found record; BEGIN",
            f"  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {self.name}) THEN",
            f"    CREATE ROLE {self.role} NOLOGIN NOBYPASSRLS;",
            "  END IF;",
            f"  FOR found IN SELECT * FROM pg_policies WHERE roles = ARRAY[{self.name}]::name[] LOOP",  # noqa: S608 - a quoted name
            "    EXECUTE format('DROP POLICY %I ON %I.%I', found.policyname, found.schemaname, found.tablename);",
            "  END LOOP;",
            "END $$;",
        ]
        return "\n".join(lines)

    def schema(self, name: str) -> str:
        """Let the role into a schema, with no right on any table yet."""
        schema = self.quote(name)
        let_in = f"GRANT USAGE ON SCHEMA {schema} TO {self.role};"
        return f"{let_in}\nREVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {self.role};"

    def model(self, model: Model) -> str:
        """Write one table's wall; a verb without a policy has no right and no policy."""
        table = self.dialect.identifier_preparer.format_table(model.table)
        lines = [f"\n-- {model.name!r}", f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"]
        for verb in Verb:
            clause = getattr(model.policies, verb.value)
            if clause is not None:
                lines += self._policy(model, table, verb, clause)
        counted = model.table._autoincrement_column
        if model.policies.insert is not None and counted is not None:
            sequence = f"pg_get_serial_sequence({_text(table)}, {_text(str(counted.name))})"
            lines.append(
                f"DO $$ BEGIN IF {sequence} IS NOT NULL THEN EXECUTE format("
                f"'GRANT USAGE ON SEQUENCE %s TO %I', {sequence}, {self.name}); END IF; END $$;"
            )
        return "\n".join(lines)

    def _policy(self, model: Model, table: str, verb: Verb, clause: sa.ColumnElement[Any]) -> Iterator[str]:
        condition = self._condition(model, verb, clause)
        if any(isinstance(part, sa.Select) for part in visitors.iterate(clause)):
            function, argument = self._label(verb, model), self.quote(model.table.name)
            yield f"CREATE OR REPLACE FUNCTION {function}({argument} {table}) RETURNS boolean"
            yield "LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp"
            yield f"AS $portero$ SELECT {condition} $portero$;"
            yield f"REVOKE ALL ON FUNCTION {function}({table}) FROM PUBLIC;"
            yield f"GRANT EXECUTE ON FUNCTION {function}({table}) TO {self.role};"
            condition = f"{function}({argument}.*)"
        columns = model.columns if verb is Verb.SELECT else model.writable
        listed = f" ({', '.join(self.quote(each) for each in columns)})" if verb is not Verb.DELETE else ""
        yield f"GRANT {verb.upper()}{listed} ON {table} TO {self.role};"
        using = f" USING ({condition})" if verb is not Verb.INSERT else ""
        check = f" WITH CHECK ({condition})" if verb in (Verb.INSERT, Verb.UPDATE) else ""
        yield f"CREATE POLICY {self._label(verb, model)} ON {table} FOR {verb.upper()} TO {self.role}{using}{check};"

    def _label(self, verb: Verb, model: Model) -> str:
        label: str = self.quote(f"portero_{verb}_{model.name}"[:_LONGEST_NAME])
        return label

    def _condition(self, model: Model, verb: Verb, clause: sa.ColumnElement[Any]) -> str:
        what = f"the {verb.value} policy of {model.name!r}"
        try:
            condition = self._compiled(model.table, clause)
        except sa.exc.CompileError as error:
            raise ConfigurationError(f"{what} holds a value that cannot be written as SQL: {error}") from error
        if "$portero$" in condition:
            raise ConfigurationError(f"{what} holds the text $portero$, which cannot be quoted.")
        return condition

    def _compiled(self, table: sa.Table, clause: sa.ColumnElement[Any]) -> str:
        """Compile beside the table: a subquery compiled alone would read that table itself, and say something else."""
        rows: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(table)
        head = f"{rows.compile(dialect=self.dialect).string} \nWHERE "
        whole = rows.where(_with_facts(clause)).compile(dialect=self.dialect, compile_kwargs={"literal_binds": True})
        assert whole.string.startswith(head)
        return whole.string.removeprefix(head)


def _with_facts(clause: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Put what the session says of the caller in the places of the caller's facts."""

    def fact(element: Any, **_: Any) -> Any:
        return _FACTS.get(element.key) if isinstance(element, sa.BindParameter) else None

    replaced: sa.ColumnElement[Any] = visitors.replacement_traverse(clause, {}, fact)
    return replaced


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
