-- Missing updates summary: how many updates are missing, by category
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Update
--   | where TimeGenerated>ago(5h) and OSType=="Linux" and SourceComputerId in ((Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=="Linux" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--   | where Solutions has "updates"
--   | distinct SourceComputerId))
--   | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification) by Computer, SourceComputerId, Product, ProductArch
--   | where UpdateState=~"Needed"
--   | summarize by Product, ProductArch, Classification
--   | union (Update
--   | where TimeGenerated>ago(14h) and OSType!="Linux" and (Optional==false or Classification has "Critical" or Classification has "Security") and SourceComputerId in ((Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=~"Windows" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--   | where Solutions has "updates"
--   | distinct SourceComputerId))
--   | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification, Approved) by Computer, SourceComputerId, UpdateID
--   | where UpdateState=~"Needed" and Approved!=false
--   | summarize by UpdateID, Classification )
--   | summarize allUpdatesCount=count(), criticalUpdatesCount=countif(Classification has "Critical"), securityUpdatesCount=countif(Classification has "Security"), otherUpdatesCount=countif(Classification !has "Critical" and Classification !has "Security")
-- Note: Update has the rows of the newest scan of each computer only, so there is nothing left for
-- arg_max to do. (Of a package with an update available it has two rows with the same time, the
-- installed version and the available one, between which arg_max would choose at will.)
WITH computers AS
    (
        SELECT SourceComputerId
        FROM Heartbeat
        WHERE TimeGenerated > now() - INTERVAL 12 HOUR AND Computer != ''
        GROUP BY SourceComputerId
        HAVING hasToken(lower(argMax(Solutions, TimeGenerated)), 'updates')
    )
SELECT
    count() AS allUpdatesCount,
    countIf(Classification = 'Critical Updates') AS criticalUpdatesCount,
    countIf(Classification = 'Security Updates') AS securityUpdatesCount,
    countIf(Classification NOT IN ('Security Updates', 'Critical Updates')) AS otherUpdatesCount
FROM
(
    SELECT DISTINCT OSType, if(OSType = 'Linux', Product, UpdateID), ProductArch, Classification
    FROM Update
    WHERE UpdateState = 'Needed' AND SourceComputerId IN computers
        AND if(OSType = 'Linux',
            TimeGenerated > now() - INTERVAL 5 HOUR,
            TimeGenerated > now() - INTERVAL 14 HOUR AND Approved
                AND (NOT Optional OR Classification IN ('Security Updates', 'Critical Updates')))
)
