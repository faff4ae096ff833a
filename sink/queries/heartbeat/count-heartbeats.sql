-- Count heartbeats: of all computers, from the last hour
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // Count computers heartbeats in the last hour.
--   // Normally, agents on VMs generate Heartbeat event every minute.
--   Heartbeat
--   | where TimeGenerated > ago(1h)
--   | summarize count() by Computer
SELECT Computer, count() AS count_
FROM Heartbeat
WHERE TimeGenerated > now() - INTERVAL 1 HOUR
GROUP BY Computer
ORDER BY Computer
