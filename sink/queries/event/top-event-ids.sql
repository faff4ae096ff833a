-- Events by event ID: the top 10
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | summarize count() by EventID
--   | top 10 by count_
SELECT EventID, count() AS count_
FROM Event
GROUP BY EventID
ORDER BY count_ DESC, EventID
LIMIT 10
