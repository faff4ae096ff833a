-- Users by the number of files they uploaded to OneDrive and SharePoint
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   OfficeActivity
--   | where OfficeWorkload in ("OneDrive", "SharePoint") and Operation in ("FileUploaded")
--   | summarize AccessedFilesCount = dcount(OfficeObjectId) by UserId, _ResourceId
--   | sort by AccessedFilesCount desc nulls last
SELECT UserId, _ResourceId, uniqExact(OfficeObjectId) AS AccessedFilesCount
FROM OfficeActivity
WHERE OfficeWorkload IN ('OneDrive', 'SharePoint') AND Operation = 'FileUploaded'
GROUP BY UserId, _ResourceId
ORDER BY AccessedFilesCount DESC, UserId
