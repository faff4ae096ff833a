-- Directly connected Linux agents that communicate: the last heartbeat of each
--
-- Source: Update Management solution in OMS, July 2017
-- Original (log search):
--   Type=Heartbeat OSType=Linux | top 500000 | dedup SourceComputerId | Sort Computer | display Table
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Heartbeat
--   | where OSType == "Linux" | summarize arg_max(TimeGenerated, *) by SourceComputerId | top 500000 by Computer asc | render table
SELECT *
FROM Heartbeat
WHERE OSType = 'Linux'
    AND (SourceComputerId, TimeGenerated) IN
    (
        SELECT SourceComputerId, max(TimeGenerated)
        FROM Heartbeat
        WHERE OSType = 'Linux'
        GROUP BY SourceComputerId
    )
ORDER BY Computer, ReportId
LIMIT 1 BY SourceComputerId
LIMIT 500000
