-- All Office activity
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   OfficeActivity
--   | project TimeGenerated, UserId, Operation, OfficeWorkload, RecordType, _ResourceId
--   | sort by TimeGenerated desc nulls last
SELECT TimeGenerated, UserId, Operation, OfficeWorkload, RecordType, _ResourceId
FROM OfficeActivity
ORDER BY TimeGenerated DESC
