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
FROM
(
    SELECT *
    FROM Heartbeat
    WHERE OSType = 'Windows'
    ORDER BY TimeGenerated DESC, ReportId
    LIMIT 1 BY SourceComputerId
)
ORDER BY Computer
LIMIT 500000
