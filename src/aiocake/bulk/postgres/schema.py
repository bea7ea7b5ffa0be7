"""The tables of journals in PostgreSQL, and the SQL that creates them.

A schema holds any number of runs. ``run`` says who has each of them, until when, and in which
*epoch*: the number of times that it was taken. ``session`` has a row for each taking, ``call`` the
plan and the state of each call, ``log`` all that ever happened, as a chain of hashes for each run
(:mod:`aiocake.bulk.log_chain`). ``claim`` holds the creates, of any run, that are on their way or
in doubt, and ``partner`` a row for each partner, which is locked while one is claimed. ``pace`` has
a row for each quota that processes share.

The log is append-only: by a trigger, and for the role that carries out runs by its grants as well.
Who owns the tables can take both away; that is what a receipt is for.
"""

from typing import Final

from aiocake.bulk.postgres.pace_schema import PACE_TABLES

#: The version of the schema, which ``meta`` has.
VERSION: Final = 1

_TABLES: Final = """\
CREATE SCHEMA IF NOT EXISTS {s};

CREATE TABLE {s}.meta (name text PRIMARY KEY, value text NOT NULL);

CREATE TABLE {s}.run (
    run bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    domain text NOT NULL,
    plan_hash text UNIQUE,      -- of a plan that was approved: it is carried out by one run only
    created_at text NOT NULL,
    whole_at text,              -- when the plan had been read to its end
    epoch bigint NOT NULL DEFAULT 0,
    owner uuid,                 -- the process that has it; null where it was given back
    written bigint NOT NULL DEFAULT 0,  -- the number of the last group of changes in this epoch
    lease_until timestamptz NOT NULL DEFAULT clock_timestamp(),
    answer_time double precision NOT NULL DEFAULT 0,    -- seconds that its owner gives an answer
    judge_from timestamptz NOT NULL DEFAULT clock_timestamp()   -- nothing sent before arrives later
) WITH (fillfactor = 50);

CREATE TABLE {s}.session (
    run bigint NOT NULL,
    epoch bigint NOT NULL,
    started_at text NOT NULL,
    ended_at text,
    stopped text,
    who text NOT NULL,
    host text NOT NULL,
    pid bigint NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (run, epoch)
);

CREATE TABLE {s}.call (
    run bigint NOT NULL,
    place bigint NOT NULL,
    digest bytea NOT NULL,
    call text NOT NULL,
    hash bytea NOT NULL,
    state text NOT NULL,
    intent text,
    before text,
    detail text,
    PRIMARY KEY (run, place)
) WITH (fillfactor = 70);

CREATE TABLE {s}.look (
    run bigint NOT NULL,
    place bigint NOT NULL,
    ours bigint NOT NULL,
    theirs text NOT NULL,
    session bigint NOT NULL,
    at text NOT NULL,
    PRIMARY KEY (run, place)
);

CREATE TABLE {s}.log (
    run bigint NOT NULL,
    entry bigint NOT NULL,
    place bigint,
    session bigint NOT NULL,
    at text NOT NULL,           -- by the clock of the process
    what text NOT NULL,
    intent text,
    detail text,                -- JSON, kept as the very text that the hash is of
    hash bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, entry)
);

CREATE FUNCTION {s}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log of aiocake is append-only';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.log
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.refuse_change();

CREATE TABLE {s}.partner (
    domain text NOT NULL,
    partner bigint NOT NULL,
    number bigint NOT NULL DEFAULT 0,   -- moves with each claim
    PRIMARY KEY (domain, partner)
);

CREATE TABLE {s}.claim (
    run bigint NOT NULL,
    place bigint NOT NULL,
    domain text NOT NULL,
    partner bigint NOT NULL,
    period daterange NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, place)
);

CREATE INDEX claim_partner ON {s}.claim (domain, partner);

-- The row of the partner, which take_claim() locks, keeps creates apart. Where the extension may be
-- made, this says the same once more. It is a trusted one: who may create in the database may.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS btree_gist;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'without btree_gist: %', SQLERRM;
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist') THEN
        ALTER TABLE {s}.claim ADD CONSTRAINT claim_apart
            EXCLUDE USING gist (domain WITH =, partner WITH =, period WITH &&);
    END IF;
END $$;

-- One statement for whoever calls it, so that no transaction is left open by a process that stands
-- still; within it each statement sees what was committed before it.
CREATE FUNCTION {s}.take_claim(
    my_run bigint, my_epoch bigint, my_place bigint, whose bigint, days daterange,
    OUT outcome text, OUT holder text, OUT moved bigint, OUT alone boolean
) LANGUAGE plpgsql AS $$
DECLARE
    here text;
    found_state text;
    is_held boolean;
BEGIN
    SELECT r.domain INTO here FROM {s}.run AS r
    WHERE r.run = my_run AND r.epoch = my_epoch AND r.lease_until > clock_timestamp()
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'lost';
        RETURN;
    END IF;
    INSERT INTO {s}.partner (domain, partner) VALUES (here, whose) ON CONFLICT DO NOTHING;
    SELECT p.number INTO moved FROM {s}.partner AS p
    WHERE p.domain = here AND p.partner = whose FOR UPDATE;
    -- Of a process that is gone, and had sent nothing: it cannot any more.
    DELETE FROM {s}.claim AS c USING {s}.run AS r, {s}.call AS k
    WHERE c.domain = here AND c.partner = whose AND c.run <> my_run
        AND r.run = c.run AND r.lease_until <= clock_timestamp()
        AND k.run = c.run AND k.place = c.place AND k.state NOT IN ('sending', 'unknown');
    SELECT r.name, k.state, r.lease_until > clock_timestamp() INTO holder, found_state, is_held
    FROM {s}.claim AS c JOIN {s}.run AS r ON r.run = c.run
        JOIN {s}.call AS k ON k.run = c.run AND k.place = c.place
    WHERE c.domain = here AND c.partner = whose AND c.period && days
        AND NOT (c.run = my_run AND c.place = my_place)
    LIMIT 1;
    IF FOUND THEN
        outcome := CASE
            WHEN found_state = 'unknown' OR (found_state = 'sending' AND NOT is_held) THEN 'doubt'
            ELSE 'busy'
        END;
        RETURN;
    END IF;
    INSERT INTO {s}.claim (run, place, domain, partner, period)
    VALUES (my_run, my_place, here, whose, days)
    ON CONFLICT (run, place) DO UPDATE
        SET domain = excluded.domain, partner = excluded.partner, period = excluded.period;
    UPDATE {s}.partner AS p SET number = moved + 1 WHERE p.domain = here AND p.partner = whose;
    SELECT NOT EXISTS (
        SELECT FROM {s}.claim AS c
        WHERE c.domain = here AND c.partner = whose AND c.run <> my_run
    ) INTO alone;
    outcome := 'claimed';
END $$;

-- {pace}
INSERT INTO {s}.meta VALUES ('version', '{version}');
"""

_GRANTS: Final = """\
GRANT USAGE ON SCHEMA {s} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {role};
GRANT INSERT ON ALL TABLES IN SCHEMA {s} TO {role};
GRANT UPDATE ON {s}.run, {s}.session, {s}.call, {s}.look, {s}.partner, {s}.claim TO {role};
GRANT UPDATE ON {s}.pace, {s}.pace_member TO {role};
GRANT DELETE ON {s}.claim, {s}.pace_member TO {role};
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {s} TO {role};
REVOKE INSERT ON {s}.meta FROM {role};
"""


def quoted(name: str) -> str:
    """Return a name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def creation(schema: str) -> str:
    """Return the SQL that creates the tables of a new schema."""
    sql = PACE_TABLES.join(_TABLES.split("-- {pace}\n"))
    return sql.replace("{s}", quoted(schema)).replace("{version}", str(VERSION))


def grants(schema: str, role: str) -> str:
    """Return the SQL that lets a role carry out runs, and not change the log."""
    return _GRANTS.replace("{s}", quoted(schema)).replace("{role}", quoted(role))


def tables(schema: str, run: int) -> dict[str, str]:
    """Return the tables of one run, as :mod:`aiocake.bulk.journal_store` names them in queries."""
    s, of = quoted(schema), f"WHERE run = {run:d}"
    return {
        "meta": f"(SELECT 'domain' AS name, domain AS value FROM {s}.run {of}"  # noqa: S608 - ours
        f" UNION ALL SELECT 'created_at', created_at FROM {s}.run {of}"
        f" UNION ALL SELECT 'whole', whole_at FROM {s}.run {of} AND whole_at IS NOT NULL)",
        "runs": '(SELECT epoch AS run, started_at, ended_at, stopped, who AS "user", host, pid,'  # noqa: S608 - ours
        f" version AS aiocake FROM {s}.session {of})",
        "calls": "(SELECT place, digest, call, hash, state, intent, before, detail"  # noqa: S608 - ours
        f" FROM {s}.call {of})",
        "log": "(SELECT entry, place, session AS run, at, what, intent, detail, hash"  # noqa: S608 - ours
        f" FROM {s}.log {of})",
        "looks": f"(SELECT place, ours, theirs, session AS run, at FROM {s}.look {of})",  # noqa: S608 - ours
        "is_not": "IS DISTINCT FROM",
    }
