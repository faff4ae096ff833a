-- Computers summary: how many computers are up to date, need updates, or are not assessed
--
-- Source: Azure Automation, query-logs (MicrosoftDocs/azure-docs, CC-BY-4.0)
-- Original (KQL):
--   // [Q3] computers summary (Windows half; Linux half: 5h window, key Product,ProductArch, no Approved/Optional; union; then sums)
--   Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=~"Windows" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--   | where Solutions has "updates"
--   | distinct SourceComputerId
--   | join kind=leftouter (
--       Update
--       | where TimeGenerated>ago(14h) and OSType!="Linux"
--       | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Approved, Optional, Classification) by SourceComputerId, UpdateID
--       | distinct SourceComputerId, Classification, UpdateState, Approved, Optional
--       | summarize WorstMissingUpdateSeverity=max(iff(UpdateState=~"Needed" and (Optional==false or Classification has "Critical" or Classification has "Security") and Approved!=false, iff(Classification has "Critical", 4, iff(Classification has "Security", 2, 1)), 0)) by SourceComputerId
--   ) on SourceComputerId
--   | extend WorstMissingUpdateSeverity=coalesce(WorstMissingUpdateSeverity, -1)
--   | summarize computersBySeverity=count() by WorstMissingUpdateSeverity
--   // final counters: assessed = sum where sev>-1, notAssessed = -1, needCritical=4, needSecurity=2, needOther=1, upToDate=0, all=assessed+notAssessed
-- Note: Update has the rows of the newest scan of each computer only, so there is nothing left for
-- arg_max to do. (Of a package with an update available it has two rows with the same time, the
-- installed version and the available one, between which arg_max would choose at will.)
WITH
    computers AS
    (
        SELECT SourceComputerId
        FROM Heartbeat
        WHERE TimeGenerated > now() - INTERVAL 12 HOUR AND Computer != ''
        GROUP BY SourceComputerId
        HAVING hasToken(lower(argMax(Solutions, TimeGenerated)), 'updates')
    ),
    assessed AS
    (
        SELECT
            SourceComputerId,
            max(multiIf(
                UpdateState != 'Needed' OR NOT Approved, 0,
                Classification = 'Critical Updates', 4,
                Classification = 'Security Updates', 2,
                Optional, 0,
                1)) AS Worst
        FROM Update
        WHERE TimeGenerated > now() - if(OSType = 'Linux', INTERVAL 5 HOUR, INTERVAL 14 HOUR)
        GROUP BY SourceComputerId
    )
SELECT
    countIf(Severity > -1) AS assessed,
    countIf(Severity = -1) AS notAssessed,
    countIf(Severity = 4) AS needCritical,
    countIf(Severity = 2) AS needSecurity,
    countIf(Severity = 1) AS needOther,
    countIf(Severity = 0) AS upToDate,
    count() AS `all`
FROM
(
    SELECT if(assessed.SourceComputerId = '', -1, Worst) AS Severity
    FROM computers
    LEFT JOIN assessed ON assessed.SourceComputerId = computers.SourceComputerId
)
