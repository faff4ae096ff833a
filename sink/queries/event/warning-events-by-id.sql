-- Count of warning events, by event ID
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where EventLevelName == "warning"
--   | summarize count() by EventID
-- Note: Windows writes the level Warning with a capital, other senders without: it is compared
-- without case.
SELECT EventID, count() AS count_
FROM Event
WHERE lower(EventLevelName) = 'warning'
GROUP BY EventID
ORDER BY count_ DESC, EventID
