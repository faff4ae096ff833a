-- Operations on files whose name might hide an executable
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   OfficeActivity
--   | where RecordType =~ "SharePointFileOperation" and isnotempty(SourceFileName)
--   | where OfficeObjectId has ".exe." and OfficeObjectId matches regex @"\.exe\.\w{0,4}$"
SELECT *
FROM OfficeActivity
WHERE lower(RecordType) = 'sharepointfileoperation' AND SourceFileName != ''
    AND match(OfficeObjectId, '\\.exe\\.\\w{0,4}$')
