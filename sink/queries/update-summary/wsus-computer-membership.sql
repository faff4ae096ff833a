-- WSUS computer membership
--
-- Source: Update Management solution in OMS, July 2017; Office 365 solution in OMS, June 2017
-- Original (log search):
--   Type=UpdateSummary | measure count() by WSUSServer
-- Note: UpdateSummary has a row for each scan of a computer: this counts scans. Put
-- uniqExact(SourceComputerId) in the place of count() for computers.
SELECT WSUSServer, count() AS AggregatedValue
FROM UpdateSummary
GROUP BY WSUSServer
ORDER BY AggregatedValue DESC, WSUSServer
