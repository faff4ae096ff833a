-- Events by event source
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | summarize count() by Source
SELECT Source, count() AS count_
FROM Event
GROUP BY Source
ORDER BY count_ DESC, Source
