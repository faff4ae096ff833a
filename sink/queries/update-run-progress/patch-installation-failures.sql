-- Patch installation failure for your machines: the status of the updates whose installation was not successful
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   // To create an alert for this query, click '+ New alert rule'
--   UpdateRunProgress
--   | where TimeGenerated>ago(1d)
--   | where InstallationStatus == "NotStarted"
--   | summarize by Title, InstallationStatus, SourceComputerId, UpdateId, Computer, ResourceId
--   | join kind= inner (
--       UpdateRunProgress
--       | where TimeGenerated>ago(1d)
--       | where InstallationStatus != "NotStarted"
--       | summarize by Title, InstallationStatus, SourceComputerId, UpdateId, Computer
--   ) on UpdateId
--   | where InstallationStatus1 != "Succeed"
--   | summarize by Title, InstallationStatus, Computer, ResourceId
-- Note: As written the original shows NotStarted for every update that has any other status on any
-- computer: it joins on the update alone, and no report has the status Succeed. What it promises is
-- the status that each update ended with.
SELECT Title, InstallationStatus, Computer, ResourceId
FROM
(
    SELECT *
    FROM UpdateRunProgress
    WHERE TimeGenerated > now() - INTERVAL 1 DAY
    ORDER BY TimeGenerated DESC
    LIMIT 1 BY SourceComputerId, UpdateRunName, UpdateId
)
WHERE InstallationStatus IN ('Failed', 'FailedToStart', 'InstallFailed', 'MaintenanceWindowExceeded')
ORDER BY Computer, Title
