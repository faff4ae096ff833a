-- Missing updates summary of a single Linux VM
--
-- Source: Azure Automation, query-logs (MicrosoftDocs/azure-docs, CC-BY-4.0)
-- Original (KQL):
--   Update
--   | where TimeGenerated>ago(5h) and OSType=="Linux" and (VMUUID=~"625686a0-6d08-4810-aae9-a089e68d4911" or VMUUID=~"a0865662-086d-1048-aae9-a089e68d4911")
--   | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification) by Computer, SourceComputerId, Product, ProductArch
--   | where UpdateState=~"Needed"
--   | summarize by Product, ProductArch, Classification
--   | summarize allUpdatesCount=count(), criticalUpdatesCount=countif(Classification has "Critical"), securityUpdatesCount=countif(Classification has "Security"), otherUpdatesCount=countif(Classification !has "Critical" and Classification !has "Security")
-- Note: A Linux machine may tell the first three parts of its id in the other order of bytes: the
-- original names both spellings, this makes the second one. Update has the rows of the newest scan
-- of each computer only, so there is nothing left for arg_max to do. (Of a package with an update
-- available it has two rows with the same time, the installed version and the available one,
-- between which arg_max would choose at will.)
-- Parameter VMUUID = '625686a0-6d08-4810-aae9-a089e68d4911'
WITH lower({VMUUID:String}) AS Id
SELECT
    count() AS allUpdatesCount,
    countIf(Classification = 'Critical Updates') AS criticalUpdatesCount,
    countIf(Classification = 'Security Updates') AS securityUpdatesCount,
    countIf(Classification NOT IN ('Security Updates', 'Critical Updates')) AS otherUpdatesCount
FROM
(
    SELECT DISTINCT Product, ProductArch, Classification
    FROM Update
    WHERE OSType = 'Linux' AND TimeGenerated > now() - INTERVAL 5 HOUR
        AND UpdateState = 'Needed'
        AND lower(VMUUID) IN
        (
            Id,
            concat(
                substring(Id, 7, 2), substring(Id, 5, 2), substring(Id, 3, 2), substring(Id, 1, 2), '-',
                substring(Id, 12, 2), substring(Id, 10, 2), '-',
                substring(Id, 17, 2), substring(Id, 15, 2), substring(Id, 19))
        )
)
