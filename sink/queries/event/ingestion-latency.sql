-- Ingestion latency (end-to-end) of events in the last day
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Event
--   | where TimeGenerated > ago(1d)
--   | project TimeGenerated, IngestionDurationSeconds = (ingestion_time()-TimeGenerated)/1s
--   | render timechart title = "Ingestion latency: Event table"
-- Note: When a row was stored is not kept: a batch reads no clock, so that repeating it gives the
-- same. Seconds lie between the arrival at the gateway, TimeReceived, and the table; so the latency
-- up to there is asked for.
SELECT
    TimeGenerated,
    dateDiff('millisecond', TimeGenerated, TimeReceived) / 1000 AS IngestionDurationSeconds
FROM Event
WHERE TimeGenerated > now() - INTERVAL 1 DAY
ORDER BY TimeGenerated
