-- Every definition of an update deployment, so that past runs are known by the definition of their time.
CREATE TABLE IF NOT EXISTS update_deployment_rows
(
    Name                String                       COMMENT 'Name of the update deployment, UpdateRunName of its runs',
    TimeGenerated       DateTime64(3, 'UTC')         COMMENT 'When it was defined so, UTC; the newest definition of a name holds',
    ReportId            UUID                         COMMENT 'The report this definition came from; a resend keeps it',
    TimeReceived        DateTime64(3, 'UTC')         COMMENT 'When the definition reached Patchline, UTC',
    Schedule            LowCardinality(String)       COMMENT 'One Time, Recurring Weekly or Recurring Monthly',
    TimeZone            LowCardinality(String)       COMMENT 'IANA name of the time zone that its local times are in',
    LocalStartTime      String                       COMMENT 'First start, local date and time',
    LocalExpiryTime     String                       COMMENT 'No start after this local date and time; empty: never',
    Interval            Int32                        COMMENT 'Every so many weeks or months; 0 counts as 1',
    Weekdays            Array(String)                COMMENT 'Weekly: Monday to Sunday; empty: the weekday of the first start',
    MonthDays           Array(Int32)                 COMMENT 'Monthly: days 1 to 31, -1 the last; empty: the day of the first start',
    Duration            Int32                        COMMENT 'Minutes that a run may take: its maintenance window',
    OSType              LowCardinality(String)       COMMENT 'Windows or Linux; empty for both',
    Computers           Array(String)                COMMENT 'Names of computers, * and ? as wildcards, without case',
    ComputerGroups      Array(String)                COMMENT 'Names of management groups, * and ? as wildcards, without case',
    Classifications     Array(String)                COMMENT 'Classifications that it installs; empty: all',
    Exclusions          Array(String)                COMMENT 'Updates that it leaves out: KB numbers or package names, * and ? as wildcards, without case',
    ManagementGroupName LowCardinality(String)       COMMENT 'Operations Manager group, or AOI-<workspace id>',
    Deleted             Bool                         COMMENT 'It was deleted; what was defined before holds no longer',
    Starts              Array(DateTime64(3, 'UTC'))  COMMENT 'Its starts, UTC, oldest first',
    SourcePartition     Int32                        COMMENT 'Kafka partition of the definition',
    SourceOffset        Int64                        COMMENT 'Kafka offset of the definition',
    INDEX source_offset SourceOffset TYPE minmax GRANULARITY 64
)
ENGINE = ReplacingMergeTree
ORDER BY (Name, TimeGenerated, ReportId)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Storage of the view UpdateDeployment';

-- A deployment names its computers; which there are is known from what they sent. By these projections that is
-- read from one row a computer and part, not from every heartbeat.
ALTER TABLE heartbeat_rows MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE heartbeat_rows
    ADD PROJECTION IF NOT EXISTS computers
    (
        SELECT
            SourceComputerId, max(TimeGenerated), argMax(Computer, TimeGenerated),
            argMax(OSType, TimeGenerated), argMax(ManagementGroupName, TimeGenerated)
        GROUP BY SourceComputerId
    );

ALTER TABLE update_summary_rows MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE update_summary_rows
    ADD PROJECTION IF NOT EXISTS computers
    (
        SELECT
            SourceComputerId, max(TimeGenerated), argMax(Computer, TimeGenerated),
            argMax(OSType, TimeGenerated), argMax(ManagementGroupName, TimeGenerated)
        GROUP BY SourceComputerId
    );

-- Computers that were heard of within 30 days: who has been silent for longer is not counted on.
CREATE VIEW IF NOT EXISTS known_computers AS
SELECT
    SourceComputerId,
    argMax(Name, Seen) AS Computer,
    argMax(OS, Seen) AS OSType,
    argMax(ManagementGroup, Seen) AS ManagementGroupName,
    max(Seen) AS LastSeen
FROM
(
    SELECT
        SourceComputerId, max(TimeGenerated) AS Seen, argMax(Computer, TimeGenerated) AS Name,
        argMax(OSType, TimeGenerated) AS OS, argMax(ManagementGroupName, TimeGenerated) AS ManagementGroup
    FROM heartbeat_rows
    GROUP BY SourceComputerId
    UNION ALL
    SELECT
        SourceComputerId, max(TimeGenerated) AS Seen, argMax(Computer, TimeGenerated) AS Name,
        argMax(OSType, TimeGenerated) AS OS, argMax(ManagementGroupName, TimeGenerated) AS ManagementGroup
    FROM update_summary_rows
    GROUP BY SourceComputerId
)
GROUP BY SourceComputerId
HAVING LastSeen > now64(3) - INTERVAL 30 DAY;

-- The definitions of each deployment since its last deletion, each with the time of the next one.
CREATE VIEW IF NOT EXISTS deployment_definitions AS
SELECT
    * EXCEPT (LastDeletion),
    row_number() OVER definitions = 1 AS IsFirst,
    leadInFrame(toNullable(TimeGenerated)) OVER definitions AS Until
FROM
(
    SELECT
        * EXCEPT (SourcePartition, SourceOffset),
        maxIf((TimeGenerated, ReportId), Deleted) OVER (PARTITION BY Name) AS LastDeletion
    FROM update_deployment_rows FINAL
)
WHERE (TimeGenerated, ReportId) > LastDeletion
WINDOW definitions AS
(
    PARTITION BY Name ORDER BY TimeGenerated, ReportId
    ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
);

-- Every run, past and to come: the starts of each definition from when it was made until the next was. The first
-- may have been made known late.
CREATE VIEW IF NOT EXISTS deployment_runs AS
SELECT
    Name,
    arrayJoin(arrayFilter(
        start -> (IsFirst OR start >= TimeGenerated) AND ifNull(start < Until, true), Starts)) AS RunStart,
    RunStart + toIntervalMinute(Duration) AS RunEnd
FROM deployment_definitions;

-- The known computers that each deployment is for. Names are looked up by hash; only patterns are held against
-- every computer.
CREATE VIEW IF NOT EXISTS deployment_targets AS
WITH
patterns AS
(
    SELECT
        Name,
        OSType AS ForOS,
        arrayJoin(arrayConcat(
            arrayMap(name -> concat('computer:', lowerUTF8(name)), Computers),
            arrayMap(name -> concat('group:', lowerUTF8(name)), ComputerGroups))) AS Pattern
    FROM deployment_definitions
    WHERE Until IS NULL
),
computers AS
(
    SELECT
        SourceComputerId, Computer, OSType,
        arrayJoin([
            concat('computer:', lowerUTF8(Computer)), concat('group:', lowerUTF8(ManagementGroupName))]) AS CalledBy
    FROM known_computers
)
SELECT DISTINCT Name, SourceComputerId, Computer, OSType
FROM
(
    SELECT Name, ForOS, SourceComputerId, Computer, OSType
    FROM (SELECT * FROM patterns WHERE NOT match(Pattern, '[*?]')) AS named
    INNER JOIN computers ON named.Pattern = computers.CalledBy
    UNION ALL
    SELECT Name, ForOS, SourceComputerId, Computer, OSType
    FROM
    (
        SELECT Name, ForOS, translate(replaceRegexpAll(Pattern, '[%_\\\\]', '\\\\\\0'), '*?', '%_') AS Like
        FROM patterns
        WHERE match(Pattern, '[*?]')
    ) AS wildcards
    CROSS JOIN computers
    WHERE CalledBy LIKE Like
)
WHERE ForOS IN ('', OSType);

-- The newest word of each computer on each update of each run. A report is of the run that began last before it;
-- a computer's clock may be a quarter of an hour slow. UpdateId names an update on Windows; on Linux each run and
-- computer has its own, and the title names it.
CREATE VIEW IF NOT EXISTS deployment_progress AS
SELECT
    reports.Name AS Name,
    runs.RunStart AS RunStart,
    any(runs.RunEnd) AS RunEnd,
    SourceComputerId,
    UpdateKey,
    argMax(reports.Computer, Newness) AS Computer,
    argMax(reports.OSType, Newness) AS OSType,
    argMax(reports.UpdateId, Newness) AS UpdateId,
    argMax(reports.Title, Newness) AS Title,
    argMax(reports.Product, Newness) AS Product,
    argMax(reports.KBID, Newness) AS KBID,
    argMax(reports.InstallationStatus, Newness) AS InstallationStatus,
    max(reports.TimeGenerated) AS LastReport
FROM
(
    SELECT
        CAST(UpdateRunName AS String) AS Name, SourceComputerId, Computer, OSType, UpdateId, Title, Product, KBID,
        InstallationStatus, TimeGenerated,
        bitShiftLeft(toUInt128(toUnixTimestamp64Milli(TimeGenerated)), 64) + toUInt64(SourceOffset) AS Newness,
        TimeGenerated + INTERVAL 15 MINUTE AS StartedBy,
        multiIf(
            OSType = 'Linux' AND Title != '', Title,
            UpdateId != '', lower(UpdateId),
            KBID != '', KBID,
            Title != '', Title,
            Product) AS UpdateKey
    FROM update_run_progress_rows
    WHERE UpdateRunName IN (SELECT Name FROM deployment_definitions)
) AS reports
ASOF INNER JOIN deployment_runs AS runs ON reports.Name = runs.Name AND reports.StartedBy >= runs.RunStart
GROUP BY reports.Name, runs.RunStart, SourceComputerId, UpdateKey;

-- One row a deployment. Between two runs of a recurring one its next run has not started: Not started. Finished
-- is what will not start again.
CREATE VIEW IF NOT EXISTS UpdateDeployment AS
WITH
last_runs AS
(
    SELECT Name, toNullable(max(RunStart)) AS LastStart, toNullable(argMax(RunEnd, RunStart)) AS LastEnd
    FROM deployment_runs
    WHERE RunStart <= now64(3)
    GROUP BY Name
),
servers AS
(
    SELECT Name, uniqExact(SourceComputerId) AS Servers
    FROM
    (
        SELECT Name, SourceComputerId FROM deployment_targets
        UNION ALL
        SELECT Name, SourceComputerId
        FROM deployment_progress
        WHERE (Name, RunStart) IN (SELECT Name, assumeNotNull(LastStart) FROM last_runs)
    )
    GROUP BY Name
)
SELECT
    definitions.Name AS Name,
    Schedule,
    definitions.Starts[1] AS StartTime,
    Duration,
    servers.Servers AS Servers,
    multiIf(
        ifNull(LastEnd > now64(3), false), 'Running',
        NextStart IS NOT NULL, 'Not started',
        'Finished') AS Status,
    transform(Status, ['Running', 'Finished'], ['Running', 'Completed'], 'Scheduled') AS StatusGroup,
    arrayFirstOrNull(start -> start > now64(3), definitions.Starts) AS NextStart,
    last_runs.LastStart AS LastStart,
    OSType,
    Computers, ComputerGroups, Classifications, Exclusions,
    TimeZone, LocalStartTime, LocalExpiryTime, Interval, Weekdays, MonthDays,
    ManagementGroupName, TimeGenerated, TimeReceived, ReportId,
    'UpdateDeployment' AS Type
FROM deployment_definitions AS definitions
LEFT JOIN last_runs ON last_runs.Name = definitions.Name
LEFT JOIN servers ON servers.Name = definitions.Name
WHERE definitions.Until IS NULL;

-- One row a computer of a run that has begun. Of the newest run that is every computer that the deployment is for,
-- of older ones those that reported: whom they were for is not known any more.
CREATE VIEW IF NOT EXISTS UpdateDeploymentComputers AS
WITH
begun AS
(
    SELECT Name, RunStart, RunEnd, CAST(RunStart = max(RunStart) OVER (PARTITION BY Name) AS Bool) AS IsNewestRun
    FROM deployment_runs
    WHERE RunStart <= now64(3)
)
SELECT
    counted.Name AS Name,
    counted.RunStart AS RunStart,
    RunEnd,
    IsNewestRun,
    SourceComputerId,
    Computer,
    OSType,
    multiIf(
        Updates = 0, 'NotStarted',
        InProgress > 0, 'InProgress',
        NotStarted > 0 AND Succeeded + Failed + InstallFailed > 0, 'InProgress',
        FailedToStart > 0, 'FailedToStart',
        Failed + InstallFailed > 0, 'Failed',
        MaintenanceWindowExceeded > 0, 'MaintenanceWindowExceeded',
        NotStarted > 0, 'NotStarted',
        'Succeeded') AS Status,
    Updates,
    if(Intended > 0, round(100 * Succeeded / Intended, 1), NULL) AS PercentInstalled,
    NotStarted, InProgress, Succeeded, Failed, InstallFailed, FailedToStart, MaintenanceWindowExceeded,
    NotIncluded, Excluded,
    LastReport,
    'UpdateDeploymentComputers' AS Type
FROM
(
    SELECT
        Name,
        RunStart,
        SourceComputerId,
        argMax(Said.1, Said.3) AS Computer,
        argMax(Said.2, Said.3) AS OSType,
        countIf(InstallationStatus != '') AS Updates,
        Updates - NotIncluded - Excluded AS Intended,
        countIf(InstallationStatus = 'NotStarted') AS NotStarted,
        countIf(InstallationStatus = 'InProgress') AS InProgress,
        countIf(InstallationStatus = 'Succeeded') AS Succeeded,
        countIf(InstallationStatus = 'Failed') AS Failed,
        countIf(InstallationStatus = 'InstallFailed') AS InstallFailed,
        countIf(InstallationStatus = 'FailedToStart') AS FailedToStart,
        countIf(InstallationStatus = 'MaintenanceWindowExceeded') AS MaintenanceWindowExceeded,
        countIf(InstallationStatus = 'NotIncluded') AS NotIncluded,
        countIf(InstallationStatus = 'Excluded') AS Excluded,
        nullIf(max(Said.3), toDateTime64(0, 3, 'UTC')) AS LastReport
    FROM
    (
        SELECT Name, RunStart, SourceComputerId, InstallationStatus,
            (Computer, OSType, LastReport) AS Said
        FROM deployment_progress
        UNION ALL
        SELECT Name, RunStart, SourceComputerId, '' AS InstallationStatus,
            (Computer, OSType, toDateTime64(0, 3, 'UTC')) AS Said
        FROM deployment_targets
        INNER JOIN begun USING (Name)
        WHERE IsNewestRun
    )
    GROUP BY Name, RunStart, SourceComputerId
) AS counted
INNER JOIN begun ON begun.Name = counted.Name AND begun.RunStart = counted.RunStart;

-- One row an update of a run that has begun, with how many computers stand where with it.
CREATE VIEW IF NOT EXISTS UpdateDeploymentUpdates AS
WITH
begun AS
(
    SELECT Name, RunStart, RunEnd, CAST(RunStart = max(RunStart) OVER (PARTITION BY Name) AS Bool) AS IsNewestRun
    FROM deployment_runs
    WHERE RunStart <= now64(3)
)
SELECT
    counted.Name AS Name,
    counted.RunStart AS RunStart,
    RunEnd,
    IsNewestRun,
    counted.OSType AS OSType,
    UpdateId,
    Title,
    Product,
    KBID,
    counted.Computers AS Computers,
    if(Intended > 0, round(100 * Succeeded / Intended, 1), NULL) AS PercentInstalled,
    NotStarted, InProgress, Succeeded, Failed, InstallFailed, FailedToStart, MaintenanceWindowExceeded,
    NotIncluded, Excluded,
    CAST(arrayExists(
        pattern -> (KBID != '' AND lowerUTF8(KBID) LIKE pattern) OR (Product != '' AND lowerUTF8(Product) LIKE pattern),
        arrayMap(
            pattern -> translate(replaceRegexpAll(lowerUTF8(pattern), '[%_\\\\]', '\\\\\\0'), '*?', '%_'),
            definitions.Exclusions)) AS Bool) AS IsExcluded,
    NewestReport AS LastReport,
    'UpdateDeploymentUpdates' AS Type
FROM
(
    SELECT
        Name,
        RunStart,
        OSType,
        UpdateKey,
        argMax(progress.UpdateId, LastReport) AS UpdateId,
        argMax(progress.Title, LastReport) AS Title,
        argMax(progress.Product, LastReport) AS Product,
        argMax(progress.KBID, LastReport) AS KBID,
        count() AS Computers,
        Computers - NotIncluded - Excluded AS Intended,
        countIf(InstallationStatus = 'NotStarted') AS NotStarted,
        countIf(InstallationStatus = 'InProgress') AS InProgress,
        countIf(InstallationStatus = 'Succeeded') AS Succeeded,
        countIf(InstallationStatus = 'Failed') AS Failed,
        countIf(InstallationStatus = 'InstallFailed') AS InstallFailed,
        countIf(InstallationStatus = 'FailedToStart') AS FailedToStart,
        countIf(InstallationStatus = 'MaintenanceWindowExceeded') AS MaintenanceWindowExceeded,
        countIf(InstallationStatus = 'NotIncluded') AS NotIncluded,
        countIf(InstallationStatus = 'Excluded') AS Excluded,
        max(progress.LastReport) AS NewestReport
    FROM deployment_progress AS progress
    WHERE UpdateKey != ''
    GROUP BY Name, RunStart, OSType, UpdateKey
) AS counted
INNER JOIN begun ON begun.Name = counted.Name AND begun.RunStart = counted.RunStart
INNER JOIN (SELECT Name, Exclusions FROM deployment_definitions WHERE Until IS NULL) AS definitions
    ON definitions.Name = counted.Name;

-- What the columns of these views mean. Those that a view has of its table are described by `patchline-sink migrate`.
ALTER TABLE known_computers
    COMMENT COLUMN IF EXISTS SourceComputerId 'Identifies the computer',
    COMMENT COLUMN IF EXISTS Computer 'Name of the computer',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux',
    COMMENT COLUMN IF EXISTS ManagementGroupName 'Operations Manager group, or AOI-<workspace id>',
    COMMENT COLUMN IF EXISTS LastSeen 'Time of its newest heartbeat or scan, UTC';

ALTER TABLE deployment_definitions
    COMMENT COLUMN IF EXISTS Name 'Name of the update deployment, UpdateRunName of its runs',
    COMMENT COLUMN IF EXISTS TimeGenerated 'When it was defined so, UTC; the newest definition of a name holds',
    COMMENT COLUMN IF EXISTS ReportId 'The report this definition came from; a resend keeps it',
    COMMENT COLUMN IF EXISTS TimeReceived 'When the definition reached Patchline, UTC',
    COMMENT COLUMN IF EXISTS Schedule 'One Time, Recurring Weekly or Recurring Monthly',
    COMMENT COLUMN IF EXISTS TimeZone 'IANA name of the time zone that its local times are in',
    COMMENT COLUMN IF EXISTS LocalStartTime 'First start, local date and time',
    COMMENT COLUMN IF EXISTS LocalExpiryTime 'No start after this local date and time; empty: never',
    COMMENT COLUMN IF EXISTS Interval 'Every so many weeks or months; 0 counts as 1',
    COMMENT COLUMN IF EXISTS Weekdays 'Weekly: Monday to Sunday; empty: the weekday of the first start',
    COMMENT COLUMN IF EXISTS MonthDays 'Monthly: days 1 to 31, -1 the last; empty: the day of the first start',
    COMMENT COLUMN IF EXISTS Duration 'Minutes that a run may take: its maintenance window',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux; empty for both',
    COMMENT COLUMN IF EXISTS Computers 'Names of computers, * and ? as wildcards, without case',
    COMMENT COLUMN IF EXISTS ComputerGroups 'Names of management groups, * and ? as wildcards, without case',
    COMMENT COLUMN IF EXISTS Classifications 'Classifications that it installs; empty: all',
    COMMENT COLUMN IF EXISTS Exclusions 'Updates that it leaves out: KB numbers or package names, * and ? as wildcards, without case',
    COMMENT COLUMN IF EXISTS ManagementGroupName 'Operations Manager group, or AOI-<workspace id>',
    COMMENT COLUMN IF EXISTS Deleted 'It was deleted; what was defined before holds no longer',
    COMMENT COLUMN IF EXISTS Starts 'Its starts, UTC, oldest first',
    COMMENT COLUMN IF EXISTS IsFirst 'It is the first definition since the last deletion',
    COMMENT COLUMN IF EXISTS Until 'When the next definition was made, UTC; null where this one holds';

ALTER TABLE deployment_runs
    COMMENT COLUMN IF EXISTS Name 'Name of the update deployment',
    COMMENT COLUMN IF EXISTS RunStart 'When the run starts, UTC',
    COMMENT COLUMN IF EXISTS RunEnd 'End of its maintenance window, UTC';

ALTER TABLE deployment_targets
    COMMENT COLUMN IF EXISTS Name 'Name of the update deployment',
    COMMENT COLUMN IF EXISTS SourceComputerId 'Identifies the computer',
    COMMENT COLUMN IF EXISTS Computer 'Name of the computer',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux';

ALTER TABLE deployment_progress
    COMMENT COLUMN IF EXISTS Name 'Name of the update deployment',
    COMMENT COLUMN IF EXISTS RunStart 'When the run started, UTC',
    COMMENT COLUMN IF EXISTS RunEnd 'End of its maintenance window, UTC',
    COMMENT COLUMN IF EXISTS SourceComputerId 'Identifies the computer',
    COMMENT COLUMN IF EXISTS UpdateKey 'What names the update within the run: on Windows UpdateId, on Linux the title',
    COMMENT COLUMN IF EXISTS Computer 'Name of the computer',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux',
    COMMENT COLUMN IF EXISTS UpdateId 'The update within the run, in the computer''s last words',
    COMMENT COLUMN IF EXISTS Title 'Title of the update',
    COMMENT COLUMN IF EXISTS Product 'Product or package',
    COMMENT COLUMN IF EXISTS KBID 'Knowledge base number, digits only',
    COMMENT COLUMN IF EXISTS InstallationStatus 'The computer''s last word on the update',
    COMMENT COLUMN IF EXISTS LastReport 'Time of that report, by the computer''s clock, UTC';

ALTER TABLE UpdateDeployment
    COMMENT COLUMN IF EXISTS StartTime 'First start, UTC',
    COMMENT COLUMN IF EXISTS Servers 'Computers that it is for, and those that reported on its newest run',
    COMMENT COLUMN IF EXISTS Status 'Not started, Running or Finished; Not started again between the runs of a recurring one',
    COMMENT COLUMN IF EXISTS StatusGroup 'Scheduled, Running or Completed',
    COMMENT COLUMN IF EXISTS NextStart 'Next start, UTC; null where there is none',
    COMMENT COLUMN IF EXISTS LastStart 'Start of its newest run, UTC; null before the first',
    COMMENT COLUMN IF EXISTS Type 'Name of the table';

ALTER TABLE UpdateDeploymentComputers
    COMMENT COLUMN IF EXISTS Name 'Name of the update deployment',
    COMMENT COLUMN IF EXISTS RunStart 'When the run started, UTC',
    COMMENT COLUMN IF EXISTS RunEnd 'End of its maintenance window, UTC',
    COMMENT COLUMN IF EXISTS IsNewestRun 'It is the newest run of the deployment',
    COMMENT COLUMN IF EXISTS SourceComputerId 'Identifies the computer',
    COMMENT COLUMN IF EXISTS Computer 'Name of the computer',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux',
    COMMENT COLUMN IF EXISTS Status 'NotStarted (also where nothing was reported), InProgress, FailedToStart, Failed, MaintenanceWindowExceeded or Succeeded: the first that is true of some update, Succeeded of all',
    COMMENT COLUMN IF EXISTS Updates 'Updates that the computer reported on',
    COMMENT COLUMN IF EXISTS PercentInstalled 'Per cent of them that succeeded, not counting NotIncluded and Excluded; null where there are none',
    COMMENT COLUMN IF EXISTS NotStarted 'Updates not begun',
    COMMENT COLUMN IF EXISTS InProgress 'Updates under way',
    COMMENT COLUMN IF EXISTS Succeeded 'Updates installed',
    COMMENT COLUMN IF EXISTS Failed 'Updates failed',
    COMMENT COLUMN IF EXISTS InstallFailed 'Updates whose installation failed',
    COMMENT COLUMN IF EXISTS FailedToStart 'Updates that did not start',
    COMMENT COLUMN IF EXISTS MaintenanceWindowExceeded 'Updates for which the maintenance window was too short',
    COMMENT COLUMN IF EXISTS NotIncluded 'Updates that the run does not include',
    COMMENT COLUMN IF EXISTS Excluded 'Updates that the deployment excludes',
    COMMENT COLUMN IF EXISTS LastReport 'Time of its last report on the run, by its own clock, UTC; null where there is none',
    COMMENT COLUMN IF EXISTS Type 'Name of the table';

ALTER TABLE UpdateDeploymentUpdates
    COMMENT COLUMN IF EXISTS Name 'Name of the update deployment',
    COMMENT COLUMN IF EXISTS RunStart 'When the run started, UTC',
    COMMENT COLUMN IF EXISTS RunEnd 'End of its maintenance window, UTC',
    COMMENT COLUMN IF EXISTS IsNewestRun 'It is the newest run of the deployment',
    COMMENT COLUMN IF EXISTS OSType 'Windows or Linux',
    COMMENT COLUMN IF EXISTS UpdateId 'GUID of the update; on Linux that of the last report, each computer has its own',
    COMMENT COLUMN IF EXISTS Title 'Title of the update',
    COMMENT COLUMN IF EXISTS Product 'Product or package',
    COMMENT COLUMN IF EXISTS KBID 'Knowledge base number, digits only',
    COMMENT COLUMN IF EXISTS Computers 'Computers that reported on the update',
    COMMENT COLUMN IF EXISTS PercentInstalled 'Per cent of them where it succeeded, not counting NotIncluded and Excluded; null where there are none',
    COMMENT COLUMN IF EXISTS NotStarted 'Computers where the update is not begun',
    COMMENT COLUMN IF EXISTS InProgress 'Computers where the update is under way',
    COMMENT COLUMN IF EXISTS Succeeded 'Computers where the update is installed',
    COMMENT COLUMN IF EXISTS Failed 'Computers where the update failed',
    COMMENT COLUMN IF EXISTS InstallFailed 'Computers where the update is not installed for an error',
    COMMENT COLUMN IF EXISTS FailedToStart 'Computers where the update is not started for an error',
    COMMENT COLUMN IF EXISTS MaintenanceWindowExceeded 'Computers where the update is left because the maintenance window was too short',
    COMMENT COLUMN IF EXISTS NotIncluded 'Computers where the update is not included in the run',
    COMMENT COLUMN IF EXISTS Excluded 'Computers where the update is excluded by the deployment',
    COMMENT COLUMN IF EXISTS IsExcluded 'The deployment as it is now defined excludes the update',
    COMMENT COLUMN IF EXISTS LastReport 'Time of the last report on the update, by that computer''s clock, UTC',
    COMMENT COLUMN IF EXISTS Type 'Name of the table';
