-- Compliance over the time range. At each time a computer counts by the newest scan it had then, for as long as a
-- silent one is still taken for reporting.
-- Parameter group: management group; empty for all
--
-- A scan holds from its own time until the next. Where it begins and ends to count is added and taken away again;
-- the running sums are the figures, without a row a computer and time.
WITH
scans AS
(
    SELECT
        toUnixTimestamp64Milli(TimeGenerated) AS At,
        leadInFrame(At, 1, At + {silent:UInt32} * 60000) OVER
        (
            PARTITION BY SourceComputerId ORDER BY At, ReportId
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS Next,
        intDiv(greatest(At - {from:Int64}, 0) + {step:Int64} - 1, {step:Int64}) AS First,
        intDiv(
            greatest(least(Next, At + {silent:UInt32} * 60000) - {from:Int64}, 0) + {step:Int64} - 1,
            {step:Int64}) AS Last,
        CriticalUpdatesMissing, SecurityUpdatesMissing, OtherUpdatesMissing
    FROM update_summary_rows
    WHERE TimeGenerated > fromUnixTimestamp64Milli({from:Int64} - {silent:UInt32} * 60000, 'UTC')
        AND TimeGenerated <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
        AND ({group:String} = '' OR ManagementGroupName = {group:String})
),
changes AS
(
    SELECT
        (arrayJoin([(First, 1), (Last, -1)]) AS Change).1 AS Place,
        sum(Change.2) AS Assessed,
        sum(Change.2 * (CriticalUpdatesMissing + SecurityUpdatesMissing = 0)) AS Compliant,
        sum(Change.2 * CriticalUpdatesMissing) AS Critical,
        sum(Change.2 * SecurityUpdatesMissing) AS Security,
        sum(Change.2 * OtherUpdatesMissing) AS Other
    FROM scans
    WHERE First < Last
    GROUP BY Place
    HAVING Place <= intDiv({to:Int64} - {from:Int64}, {step:Int64})
    ORDER BY Place WITH FILL FROM 0 TO intDiv({to:Int64} - {from:Int64}, {step:Int64}) + 1
)
SELECT
    fromUnixTimestamp64Milli({from:Int64} + Place * {step:Int64}, 'UTC') AS Time,
    sum(changes.Assessed) OVER times AS AssessedComputers,
    sum(changes.Compliant) OVER times AS CompliantComputers,
    sum(changes.Critical) OVER times AS CriticalMissing,
    sum(changes.Security) OVER times AS SecurityMissing,
    sum(changes.Other) OVER times AS OtherMissing
FROM changes
WINDOW times AS (ORDER BY Place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
ORDER BY Time
LIMIT 1000
