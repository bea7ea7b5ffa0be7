"""The tables of quotas, and the function that changes them, as :mod:`aiocake.quota.store` says."""

from typing import Final

from aiocake.quota.store import MEMBER_FOR, RECENT, RETURN_AFTER, SPAN

#: How many seconds pass between two notes that a process is there.
_NOTED: Final = 1.0

#: The tables of quotas, and the function that is asked. Times are seconds of the Unix epoch.
PACE_TABLES: Final = f"""\
CREATE TABLE {{s}}.pace (
    name text PRIMARY KEY,
    due float8 NOT NULL DEFAULT 0,      -- when the next call is, at the even pace of the rate
    pauses bigint NOT NULL DEFAULT 0,   -- how many have begun, or were ended by hand
    pause float8 NOT NULL DEFAULT 0,
    refuse float8 NOT NULL DEFAULT 0,
    status bigint NOT NULL DEFAULT 0,   -- of the response that asked for it
    version bigint NOT NULL DEFAULT 0,
    learned text,                       -- what refusals have taught, in that version
    admitted bigint NOT NULL DEFAULT 0,
    span_admitted bigint NOT NULL DEFAULT 0,
    span float8 NOT NULL DEFAULT 0,
    back float8 NOT NULL DEFAULT 0,     -- when all return after an outage
    last float8 NOT NULL DEFAULT 0      -- when a turn was given last
) WITH (fillfactor = 50);

CREATE TABLE {{s}}.pace_member (
    name text NOT NULL,
    member text NOT NULL,
    seen float8 NOT NULL,
    PRIMARY KEY (name, member)
) WITH (fillfactor = 50);

CREATE FUNCTION {{s}}.take_turns(
    which text, who text, turns bigint, spacing float8, slack float8,
    to_pause float8, to_refuse float8, said bigint, end_pause boolean,
    lesson text, known bigint, were_refused bigint, comes_back boolean,
    OUT now float8, OUT base float8, OUT due float8, OUT pause float8, OUT refuse float8,
    OUT span float8, OUT away float8, OUT pauses bigint, OUT status bigint, OUT version bigint,
    OUT admitted bigint, OUT span_admitted bigint, OUT members bigint, OUT learned text
) LANGUAGE plpgsql AS $$
DECLARE
    p {{s}}.pace;
    granted bigint := turns;
BEGIN
    -- Only of this transaction: nobody waits for the disk.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO p FROM {{s}}.pace WHERE name = which FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO {{s}}.pace (name) VALUES (which) ON CONFLICT DO NOTHING;
        SELECT * INTO p FROM {{s}}.pace WHERE name = which FOR UPDATE;
    END IF;
    now := extract(epoch FROM clock_timestamp());
    IF end_pause THEN
        p.pause := 0; p.refuse := 0; p.pauses := p.pauses + 1;
    ELSIF to_pause > 0 OR to_refuse > 0 THEN
        p.pause := greatest(p.pause, now + greatest(to_pause, to_refuse));
        IF to_refuse > 0 THEN
            p.refuse := greatest(p.refuse, now + to_refuse); p.status := said;
        END IF;
        p.pauses := p.pauses + 1;
    END IF;
    IF lesson IS NOT NULL AND known = p.version THEN
        p.learned := lesson; p.version := p.version + 1;
    END IF;
    p.admitted := p.admitted - were_refused;
    away := 0;
    IF comes_back THEN
        IF p.back <= now AND now - p.last > {RECENT} THEN
            p.back := now + {RETURN_AFTER};
            p.due := greatest(p.due, p.back + slack);
        END IF;
        away := greatest(p.back - now, 0);
        IF away > 0 THEN granted := 0; END IF;
    END IF;
    base := greatest(now, p.pause, p.back);
    due := greatest(p.due, base);
    IF granted > 0 THEN
        IF now - p.span > {SPAN} THEN
            p.span := now; p.span_admitted := p.admitted;
        END IF;
        p.due := due + granted * spacing;
        p.admitted := p.admitted + granted;
        p.last := now;
    END IF;
    UPDATE {{s}}.pace AS kept SET due = p.due, pauses = p.pauses, pause = p.pause,
        refuse = p.refuse, status = p.status, version = p.version, learned = p.learned,
        admitted = p.admitted, span_admitted = p.span_admitted, span = p.span, back = p.back,
        last = p.last
    WHERE kept.name = which;
    IF NOT EXISTS (SELECT FROM {{s}}.pace_member AS m
                   WHERE m.name = which AND m.member = who AND m.seen > now - {_NOTED}) THEN
        INSERT INTO {{s}}.pace_member AS m (name, member, seen) VALUES (which, who, now)
        ON CONFLICT (name, member) DO UPDATE SET seen = now;
        DELETE FROM {{s}}.pace_member AS m WHERE m.name = which AND m.seen < now - {MEMBER_FOR};
    END IF;
    SELECT count(*) INTO members FROM {{s}}.pace_member AS m
    WHERE m.name = which AND m.seen > now - {MEMBER_FOR};
    base := base - now; due := due - slack - now;
    pause := greatest(p.pause - now, 0); refuse := greatest(p.refuse - now, 0);
    span := now - p.span; pauses := p.pauses; status := p.status; version := p.version;
    admitted := p.admitted; span_admitted := p.span_admitted;
    learned := CASE WHEN known = p.version THEN NULL ELSE p.learned END;
END $$;

"""  # noqa: S608 - the numbers are ours
