-- Ubuntu machines with any update
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=Update and OSType=Linux and OSName = Ubuntu | measure count() by Computer
-- Original (log search):
--   Type=Update and OSType=Linux and OSName = Ubuntu &| measure count() by Computer
-- Note: The original counts all packages of each machine, installed ones included, and so does
-- this. Add UpdateState = 'Needed' to count those that have an update available.
SELECT Computer, count() AS AggregatedValue
FROM Update
WHERE OSType = 'Linux' AND lower(OSName) = 'ubuntu'
GROUP BY Computer
ORDER BY AggregatedValue DESC, Computer
