-- What update deployments have modified computers
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type:UpdateRunProgress | measure Count() by UpdateRunName
SELECT UpdateRunName, count() AS AggregatedValue
FROM UpdateRunProgress
GROUP BY UpdateRunName
ORDER BY AggregatedValue DESC, UpdateRunName
