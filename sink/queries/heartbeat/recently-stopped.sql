-- Recently stopped heartbeats: resources that stopped sending in the past 15 minutes
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // Resources, which stopped sending heartbeats in last 15 minutes
--   Heartbeat
--   | summarize LastReported=now()-max(TimeGenerated) by ResourceGroup, Resource, ResourceType
--   // Assuming that heartbeats are sent at least every minute we are looking at 1-15 minute interval
--   | where LastReported between(1m..15m)
-- Note: All computers outside Azure are one resource without a name. Group by SourceComputerId and
-- Computer as well to tell them apart.
SELECT
    ResourceGroup, Resource, ResourceType,
    dateDiff('second', max(TimeGenerated), now()) AS LastReportedSeconds
FROM Heartbeat
GROUP BY ResourceGroup, Resource, ResourceType
HAVING LastReportedSeconds BETWEEN 60 AND 900
ORDER BY LastReportedSeconds, Resource
