-- Computers that were updated in an update run
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type:UpdateRunProgress UpdateRunName="DeploymentName" | measure Count() by Computer
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   UpdateRunProgress
--   | where UpdateRunName == "DeploymentName"
--   | summarize AggregatedValue = count() by Computer
-- Note: The old language compares without case.
-- Parameter UpdateRunName = 'DeploymentName'
SELECT Computer, count() AS AggregatedValue
FROM UpdateRunProgress
WHERE lower(UpdateRunName) = lower({UpdateRunName:String})
GROUP BY Computer
ORDER BY AggregatedValue DESC, Computer
