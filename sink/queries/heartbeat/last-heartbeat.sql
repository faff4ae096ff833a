-- Last heartbeat of each computer
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // Last heartbeat of each computer
--   // Show the last heartbeat sent by each computer.
--   Heartbeat
--   | summarize arg_max(TimeGenerated, *) by Computer
SELECT *
FROM Heartbeat
WHERE (Computer, TimeGenerated) IN
    (
        SELECT Computer, max(TimeGenerated)
        FROM Heartbeat
        GROUP BY Computer
    )
ORDER BY TimeGenerated DESC, ReportId
LIMIT 1 BY Computer
