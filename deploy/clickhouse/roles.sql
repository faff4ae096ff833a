-- Who may do what with Patchline's tables. On a ClickHouse server, once as its administrator, before the first
-- `patchline-sink migrate`:
--
--   clickhouse-client --multiquery < deploy/clickhouse/roles.sql
--
-- then users by `create-users.sh` or by hand: CREATE USER ... ; GRANT patchline_analyst TO ...
--
-- A view reads its tables with the rights of who asks. So analysts are granted the tables too, and a row
-- policy on the tables (row-policies.sql) holds for every view.

CREATE DATABASE IF NOT EXISTS patchline;

-- `patchline-sink migrate`, at an upgrade.
CREATE ROLE IF NOT EXISTS patchline_migrator;
GRANT CREATE, ALTER, DROP, SELECT, INSERT, SYSTEM VIEWS ON patchline.* TO patchline_migrator;
GRANT SELECT ON system.tables TO patchline_migrator;
GRANT SELECT ON system.columns TO patchline_migrator;

-- `patchline-sink`: stores, looks whether a batch is there, and deletes the rows of scans that are replaced.
CREATE ROLE IF NOT EXISTS patchline_sink;
GRANT SELECT, INSERT, ALTER DELETE ON patchline.* TO patchline_sink;

-- `patchline-reclassify`: changes verdicts of rows that are there.
CREATE ROLE IF NOT EXISTS patchline_reclassify;
GRANT SELECT ON patchline.* TO patchline_reclassify;
GRANT ALTER UPDATE ON patchline.update_rows TO patchline_reclassify;
GRANT ALTER UPDATE ON patchline.update_summary_rows TO patchline_reclassify;
GRANT INSERT, ALTER DELETE ON patchline.reclassified_rows TO patchline_reclassify;
GRANT SELECT ON system.mutations TO patchline_reclassify;

-- People, Grafana, the console: nothing but reading, and not without bounds.
CREATE SETTINGS PROFILE IF NOT EXISTS patchline_reading SETTINGS
    readonly = 2,
    max_execution_time = 60,
    max_memory_usage = 4000000000,
    max_result_rows = 1000000;
CREATE ROLE IF NOT EXISTS patchline_analyst SETTINGS PROFILE patchline_reading;
GRANT SELECT ON patchline.* TO patchline_analyst;
