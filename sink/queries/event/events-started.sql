-- Events that say something started, by event ID
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where RenderedDescription contains "started"
--   | summarize count() by EventID
SELECT EventID, count() AS count_
FROM Event
WHERE positionCaseInsensitive(RenderedDescription, 'started') > 0
GROUP BY EventID
ORDER BY count_ DESC, EventID
