-- What each of a computer's scans in the time range found missing.
-- Parameter computer: SourceComputerId
-- Required: computer
SELECT
    TimeGenerated AS Time,
    CriticalUpdatesMissing AS CriticalMissing,
    SecurityUpdatesMissing AS SecurityMissing,
    OtherUpdatesMissing AS OtherMissing,
    RestartPending
FROM UpdateSummary
WHERE SourceComputerId = {computer:String}
    AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
ORDER BY Time DESC
LIMIT 1000
