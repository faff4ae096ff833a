-- Unavailable computers: all known ones that sent no heartbeat in the last 5 hours
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Heartbeat
--   | summarize LastHeartbeat=max(TimeGenerated) by Computer
--   | where LastHeartbeat < ago(5h)
SELECT Computer, max(TimeGenerated) AS LastHeartbeat
FROM Heartbeat
GROUP BY Computer
HAVING LastHeartbeat < now() - INTERVAL 5 HOUR
ORDER BY LastHeartbeat, Computer
