SELECT
    SourceComputerId,
    known.Computer AS Computer,
    known.OSType AS OSType,
    Said.1 AS OSVersion,
    known.ManagementGroupName AS ManagementGroup,
    known.LastSeen AS LastSeen,
    nullIf(Newest, toDateTime64(0, 3, 'UTC')) AS LastAssessed,
    Said.2 AS Critical,
    Said.3 AS Security,
    Said.4 AS Other,
    Said.5 AS Missing,
    Said.6 AS OldestDays,
    if(Said.7 = '', 'None', Said.7) AS Age,
    Said.8 AS RestartPending,
    Said.9 AS WindowsUpdate,
    LastSeen < fromUnixTimestamp64Milli({to:Int64}, 'UTC') - toIntervalMinute({silent:UInt32}) AS Silent,
    multiIf(Silent, 'Disconnected', LastAssessed IS NULL, 'Not configured', 'Ready') AS Readiness,
    multiIf(
        Silent, 'Not reporting',
        ifNull(LastAssessed < fromUnixTimestamp64Milli({from:Int64}, 'UTC'), true), 'Not assessed',
        RestartPending, 'Restart pending',
        Missing > 0, 'Updates needed',
        'Up to date') AS State,
    State NOT IN ('Not reporting', 'Not assessed') AS Assessed
FROM known_computers AS known
LEFT JOIN
(
    -- Looked for a month back, so that the last assessment is told also where it is too old for the range.
    SELECT
        SourceComputerId,
        max(TimeGenerated) AS Newest,
        argMax(
            (OsVersion, CriticalUpdatesMissing, SecurityUpdatesMissing, OtherUpdatesMissing, TotalUpdatesMissing,
                OldestMissingSecurityUpdateInDays, OldestMissingSecurityUpdateBucket, RestartPending,
                WindowsUpdateSetting),
            (TimeGenerated, ReportId)) AS Said
    FROM update_summary_rows
    WHERE TimeGenerated > least(
            fromUnixTimestamp64Milli({from:Int64}, 'UTC'),
            fromUnixTimestamp64Milli({to:Int64}, 'UTC') - INTERVAL 30 DAY)
        AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
        AND ({computer:String} = '' OR SourceComputerId = {computer:String})
    GROUP BY SourceComputerId
) AS newest USING (SourceComputerId)
WHERE ({computer:String} = '' OR SourceComputerId = {computer:String})
    AND ({group:String} = '' OR ManagementGroup = {group:String})
