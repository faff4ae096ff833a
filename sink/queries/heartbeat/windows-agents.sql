-- Directly connected Windows agents that communicate: the last heartbeat of each
--
-- Source: Update Management solution in OMS, July 2017
-- Original (log search):
--   Type=Heartbeat OSType=Windows | top 500000 | dedup SourceComputerId | Sort Computer | display Table
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Heartbeat
--   | where OSType == "Windows" | summarize arg_max(TimeGenerated, *) by SourceComputerId | top 500000 by Computer asc | render table
SELECT *
FROM Heartbeat
WHERE OSType = 'Windows'
    AND (SourceComputerId, TimeGenerated) IN
    (
        SELECT SourceComputerId, max(TimeGenerated)
        FROM Heartbeat
        WHERE OSType = 'Windows'
        GROUP BY SourceComputerId
    )
ORDER BY Computer, ReportId
LIMIT 1 BY SourceComputerId
LIMIT 500000
