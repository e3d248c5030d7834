-- Three roles for one store, so that neither scorer nor monitor can change or drop a table. Run it in the store's
-- database, as a superuser or as whoever owns the database; again after each `driftline store upgrade`:
--   psql -v ON_ERROR_STOP=1 -d driftline -f deploy/postgresql/roles.sql
-- Passwords are yours to set: ALTER ROLE driftline_loader PASSWORD '...'.
--
--   driftline_owner    owns the tables: `driftline store upgrade`, `upkeep`, `prune`, `forget`
--   driftline_loader   `driftline serve` and `store load`: inserts what was answered
--   driftline_monitor  `driftline monitor`, `drift`, `report`, `labels`: reads, and writes results and labels
DO $$
BEGIN
    CREATE ROLE driftline_owner LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
DO $$
BEGIN
    CREATE ROLE driftline_loader LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
DO $$
BEGIN
    CREATE ROLE driftline_monitor LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO driftline_owner;
GRANT USAGE ON SCHEMA public TO driftline_loader, driftline_monitor;

-- Everything that is there goes to the owner: tables, their partitions, views. Sequences of columns follow their tables.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT c.oid::regclass AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v')
          AND c.relowner <> 'driftline_owner'::regrole
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO driftline_owner', found.kind, found.name);
    END LOOP;
END $$;

-- Both read everything, also what the owner will make.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO driftline_loader, driftline_monitor;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO driftline_loader, driftline_monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE driftline_owner IN SCHEMA public
    GRANT SELECT ON TABLES TO driftline_loader, driftline_monitor;
ALTER DEFAULT PRIVILEGES FOR ROLE driftline_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO driftline_loader, driftline_monitor;

-- The loader adds, and moves its own positions and sums on.
ALTER DEFAULT PRIVILEGES FOR ROLE driftline_owner IN SCHEMA public GRANT INSERT ON TABLES TO driftline_loader;
GRANT INSERT ON invocation, dead_letter, spool, spool_gap, spool_position, event, model_version, profile, coerced_cells
    TO driftline_loader;
GRANT UPDATE ON spool_position, profile, coerced_cells TO driftline_loader;
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT table_name FROM prediction_table LOOP
        EXECUTE format('GRANT INSERT ON %I TO driftline_loader', found.table_name);
    END LOOP;
END $$;

-- The monitor writes what it computes and what people tell it: nothing that was captured.
GRANT INSERT, UPDATE, DELETE ON job_run, drift_result, drift_episode, drift_history, quality_result, multivariate_result,
    performance_result, report, reference, profile, profile_backfill, label, pending_label, label_reject, label_count,
    model_version, report_file, segment_profile, segment_result, performance_hour, performance_progress, label_coverage,
    segment_performance_hour, segment_performance_progress, segment_performance_result,
    waiting_event, event_count
    TO driftline_monitor;
