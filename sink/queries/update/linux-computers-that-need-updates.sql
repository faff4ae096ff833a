-- Linux servers that need updates; Linux machines which have a package update available
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type:Update OSType=Linux UpdateState!="Not needed" | measure count() by Computer
-- Original (log search):
--   Type=Update and OSType=Linux and UpdateState!="Not needed" | measure count() by Computer
SELECT Computer, count() AS AggregatedValue
FROM Update
WHERE OSType = 'Linux' AND UpdateState != 'Not needed'
GROUP BY Computer
ORDER BY AggregatedValue DESC, Computer
