-- Rows that arrived over the time range, a table, and the 95th percentile of their delay. Update is left out: its rows
-- are those of the scans in UpdateSummary.
SELECT Time, Table, Rows, greatest(Delay, 0) AS Delay95Seconds
FROM
(
    SELECT
        'UpdateSummary' AS Table,
        fromUnixTimestamp64Milli(
            {from:Int64} + intDiv(toUnixTimestamp64Milli(TimeReceived) - {from:Int64}, {step:Int64}) * {step:Int64},
            'UTC') AS Time,
        count() AS Rows,
        quantileTDigest(0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delay
    FROM update_summary_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    GROUP BY Time
    UNION ALL
    SELECT
        'UpdateRunProgress' AS Table,
        fromUnixTimestamp64Milli(
            {from:Int64} + intDiv(toUnixTimestamp64Milli(TimeReceived) - {from:Int64}, {step:Int64}) * {step:Int64},
            'UTC') AS Time,
        count() AS Rows,
        quantileTDigest(0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delay
    FROM update_run_progress_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    GROUP BY Time
    UNION ALL
    SELECT
        'Heartbeat' AS Table,
        fromUnixTimestamp64Milli(
            {from:Int64} + intDiv(toUnixTimestamp64Milli(TimeReceived) - {from:Int64}, {step:Int64}) * {step:Int64},
            'UTC') AS Time,
        count() AS Rows,
        quantileTDigest(0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delay
    FROM heartbeat_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    GROUP BY Time
    UNION ALL
    SELECT
        'Event' AS Table,
        fromUnixTimestamp64Milli(
            {from:Int64} + intDiv(toUnixTimestamp64Milli(TimeReceived) - {from:Int64}, {step:Int64}) * {step:Int64},
            'UTC') AS Time,
        count() AS Rows,
        quantileTDigest(0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delay
    FROM event_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    GROUP BY Time
    UNION ALL
    SELECT
        'OfficeActivity' AS Table,
        fromUnixTimestamp64Milli(
            {from:Int64} + intDiv(toUnixTimestamp64Milli(TimeReceived) - {from:Int64}, {step:Int64}) * {step:Int64},
            'UTC') AS Time,
        count() AS Rows,
        quantileTDigest(0.95)(dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000) AS Delay
    FROM office_activity_rows
    WHERE TimeGenerated >= fromUnixTimestamp64Milli({from:Int64} - 86400000, 'UTC')
        AND TimeReceived >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
        AND TimeReceived <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    GROUP BY Time
)
ORDER BY Time, Table
LIMIT 5000
