-- Missing updates summary of a single Windows VM
--
-- Source: Azure Automation, query-logs (MicrosoftDocs/azure-docs, CC-BY-4.0)
-- Original (KQL):
--   Update
--   | where TimeGenerated>ago(14h) and OSType!="Linux" and (Optional==false or Classification has "Critical" or Classification has "Security") and VMUUID=~"b08d5afa-1471-4b52-bd95-a44fea6e4ca8"
--   | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification, Approved) by Computer, SourceComputerId, UpdateID
--   | where UpdateState=~"Needed" and Approved!=false
--   | summarize by UpdateID, Classification
--   | summarize allUpdatesCount=count(), criticalUpdatesCount=countif(Classification has "Critical"), securityUpdatesCount=countif(Classification has "Security"), otherUpdatesCount=countif(Classification !has "Critical" and Classification !has "Security")
-- Note: Update has the rows of the newest scan of each computer only, so there is nothing left for
-- arg_max to do. (Of a package with an update available it has two rows with the same time, the
-- installed version and the available one, between which arg_max would choose at will.)
-- Parameter VMUUID = 'b08d5afa-1471-4b52-bd95-a44fea6e4ca8'
SELECT
    count() AS allUpdatesCount,
    countIf(Classification = 'Critical Updates') AS criticalUpdatesCount,
    countIf(Classification = 'Security Updates') AS securityUpdatesCount,
    countIf(Classification NOT IN ('Security Updates', 'Critical Updates')) AS otherUpdatesCount
FROM
(
    SELECT DISTINCT UpdateID, Classification
    FROM Update
    WHERE OSType != 'Linux' AND TimeGenerated > now() - INTERVAL 14 HOUR
        AND UpdateState = 'Needed' AND Approved
        AND (NOT Optional OR Classification IN ('Security Updates', 'Critical Updates'))
        AND lower(VMUUID) = lower({VMUUID:String})
)
