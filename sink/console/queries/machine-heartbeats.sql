-- A computer's heartbeats over the time range, and how late the latest of each time arrived.
-- Parameter computer: SourceComputerId
-- Required: computer
SELECT
    fromUnixTimestamp64Milli(
        {from:Int64} + intDiv(toUnixTimestamp64Milli(TimeGenerated) - {from:Int64}, {step:Int64}) * {step:Int64},
        'UTC') AS Time,
    count() AS Heartbeats,
    max(dateDiff('millisecond', TimeGenerated, TimeReceived)) / 1000 AS DelaySeconds
FROM Heartbeat
WHERE SourceComputerId = {computer:String}
    AND TimeGenerated >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND TimeGenerated <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY Time
ORDER BY Time
LIMIT 5000
