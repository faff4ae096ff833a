-- Linux machines which have a package update available that addresses a critical or security vulnerability
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update and OSType=Linux and UpdateState!="Not needed" and (Classification="Critical Updates" OR Classification="Security Updates") | measure count() by Computer
-- Source: Update Management solution in Azure, June 2018
-- Original (KQL):
--   Update
--   | where OSType == "Linux"
--   | where UpdateState != "Not needed" and (Classification == "Critical Updates" or Classification == "Security Updates")
--   | summarize AggregatedValue = count() by Computer
SELECT Computer, count() AS AggregatedValue
FROM Update
WHERE OSType = 'Linux' AND UpdateState != 'Not needed'
    AND Classification IN ('Security Updates', 'Critical Updates')
GROUP BY Computer
ORDER BY AggregatedValue DESC, Computer
