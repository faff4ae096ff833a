-- All events in the past hour
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where TimeGenerated > ago(1h)
--   | sort by TimeGenerated desc
SELECT *
FROM Event
WHERE TimeGenerated > now() - INTERVAL 1 HOUR
ORDER BY TimeGenerated DESC
