-- Servers with packages that failed in an update run
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type:UpdateRunProgress InstallationStatus=failed | measure count() by Computer, Product, UpdateRunName
-- Note: No report has the status failed: the statuses that say so are Failed, FailedToStart and
-- InstallFailed. Add OSType = 'Linux' for Linux servers only: the original is meant for them and
-- does not say so.
SELECT Computer, Product, UpdateRunName, count() AS AggregatedValue
FROM UpdateRunProgress
WHERE InstallationStatus IN ('Failed', 'FailedToStart', 'InstallFailed')
GROUP BY Computer, Product, UpdateRunName
ORDER BY AggregatedValue DESC, Computer, Product, UpdateRunName
