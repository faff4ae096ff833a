-- Warning events, sorted by time
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where EventLevelName == "warning"
--   | sort by TimeGenerated desc
-- Note: Windows writes the level Warning with a capital, other senders without: it is compared
-- without case.
SELECT *
FROM Event
WHERE lower(EventLevelName) = 'warning'
ORDER BY TimeGenerated DESC
