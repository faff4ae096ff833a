-- Windows-based server computers that need updates
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type:Update OSType!=Linux UpdateState=Needed Optional=false Approved!=false | measure count() by Computer
SELECT Computer, count() AS AggregatedValue
FROM Update
WHERE OSType != 'Linux' AND UpdateState = 'Needed' AND NOT Optional AND Approved
GROUP BY Computer
ORDER BY AggregatedValue DESC, Computer
