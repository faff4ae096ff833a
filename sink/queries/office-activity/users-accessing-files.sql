-- Users by the number of OneDrive and SharePoint files they accessed
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   OfficeActivity
--   | where OfficeWorkload in ("OneDrive", "SharePoint") and Operation in ("FileDownloaded", "FileAccessed")
--   | summarize AccessedFilesCount = dcount(OfficeObjectId) by UserId, _ResourceId
--   | sort by AccessedFilesCount desc nulls last
SELECT UserId, _ResourceId, uniqExact(OfficeObjectId) AS AccessedFilesCount
FROM OfficeActivity
WHERE OfficeWorkload IN ('OneDrive', 'SharePoint') AND Operation IN ('FileDownloaded', 'FileAccessed')
GROUP BY UserId, _ResourceId
ORDER BY AccessedFilesCount DESC, UserId
