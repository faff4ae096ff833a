-- The tables: what arrived in the time range and how late, the newest of it.
-- The delay is from the report's own time to its arrival at Patchline. In the tables that are
-- parted by months, a row whose own time is over a day before the range is left out, so that the months are.
SELECT
    Table,
    Rows,
    round(Rows * 60000 / greatest({to:Int64} - {from:Int64}, 1), 2) AS RowsPerMinute,
    nullIf(NewestReceived, toDateTime64(0, 3, 'UTC')) AS Received,
    nullIf(NewestGenerated, toDateTime64(0, 3, 'UTC')) AS Generated,
    if(Rows > 0, greatest(Delays[1], 0), NULL) AS DelayMedianSeconds,
    if(Rows > 0, greatest(Delays[2], 0), NULL) AS Delay95Seconds
FROM
(
    SELECT
        'Update' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM update_rows
    WHERE TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'UpdateSummary' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM update_summary_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'UpdateRunProgress' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM update_run_progress_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'Heartbeat' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM heartbeat_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'Event' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM event_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'OfficeActivity' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM office_activity_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'Custom' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM custom_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    UNION ALL
    SELECT
        'UpdateDeployment' AS Table, count() AS Rows, max(TimeReceived) AS NewestReceived, max(TimeGenerated) AS NewestGenerated,
        quantilesTDigest(0.5, 0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delays
    FROM update_deployment_rows
    WHERE TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
)
ORDER BY indexOf(
    ['Update', 'UpdateSummary', 'UpdateRunProgress', 'Heartbeat', 'Event', 'OfficeActivity', 'Custom',
        'UpdateDeployment'], Table)
