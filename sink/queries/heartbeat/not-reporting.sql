-- Not reporting VMs: no heartbeat in the last 5 minutes
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   Heartbeat
--   | where TimeGenerated > ago(24h)
--   | summarize LastCall = max(TimeGenerated) by Computer, _ResourceId
--   | where LastCall < ago(5m)
SELECT Computer, _ResourceId, max(TimeGenerated) AS LastCall
FROM Heartbeat
WHERE TimeGenerated > now() - INTERVAL 24 HOUR
GROUP BY Computer, _ResourceId
HAVING LastCall < now() - INTERVAL 5 MINUTE
ORDER BY LastCall, Computer
