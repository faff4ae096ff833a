-- Computers with updates that failed in an update run
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type:UpdateRunProgress InstallationStatus=failed | measure count() by Computer, Title, UpdateRunName
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   UpdateRunProgress
--   | where InstallationStatus == "failed"
--   | summarize AggregatedValue = count() by Computer, Title, UpdateRunName
-- Note: No report has the status failed: the statuses that say so are Failed, FailedToStart and
-- InstallFailed. Add OSType = 'Windows' or OSType = 'Linux' to limit the system, which the
-- originals do not.
SELECT Computer, Title, UpdateRunName, count() AS AggregatedValue
FROM UpdateRunProgress
WHERE InstallationStatus IN ('Failed', 'FailedToStart', 'InstallFailed')
GROUP BY Computer, Title, UpdateRunName
ORDER BY AggregatedValue DESC, Computer, Title, UpdateRunName
