-- Computers list: computers with update management deployed, and what each misses
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=="Linux" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions, Computer, ResourceId, ComputerEnvironment, VMUUID) by SourceComputerId
--   | where Solutions has "updates"
--   | extend vmuuId=VMUUID, azureResourceId=ResourceId, osType=1, environment=iff(ComputerEnvironment=~"Azure", 1, 2), scopedToUpdatesSolution=true, lastUpdateAgentSeenTime=""
--   | join kind=leftouter
--   (
--      Update
--       | where TimeGenerated>ago(5h) and OSType=="Linux" and SourceComputerId in ((Heartbeat
--       | where TimeGenerated>ago(12h) and OSType=="Linux" and notempty(Computer)
--       | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--       | where Solutions has "updates"
--       | distinct SourceComputerId))
--       | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification, Product, Computer, ComputerEnvironment) by SourceComputerId, Product, ProductArch
--       | summarize Computer=any(Computer), ComputerEnvironment=any(ComputerEnvironment), missingCriticalUpdatesCount=countif(Classification has "Critical" and UpdateState=~"Needed"), missingSecurityUpdatesCount=countif(Classification has "Security" and UpdateState=~"Needed"), missingOtherUpdatesCount=countif(Classification !has "Critical" and Classification !has "Security" and UpdateState=~"Needed"), lastAssessedTime=max(TimeGenerated), lastUpdateAgentSeenTime="" by SourceComputerId
--       | extend compliance=iff(missingCriticalUpdatesCount > 0 or missingSecurityUpdatesCount > 0, 2, 1)
--       | extend ComplianceOrder=iff(missingCriticalUpdatesCount > 0 or missingSecurityUpdatesCount > 0 or missingOtherUpdatesCount > 0, 1, 3)
--   )
--   on SourceComputerId
--   | project id=SourceComputerId, displayName=Computer, sourceComputerId=SourceComputerId, scopedToUpdatesSolution=true, missingCriticalUpdatesCount=coalesce(missingCriticalUpdatesCount, -1), missingSecurityUpdatesCount=coalesce(missingSecurityUpdatesCount, -1), missingOtherUpdatesCount=coalesce(missingOtherUpdatesCount, -1), compliance=coalesce(compliance, 4), lastAssessedTime, lastUpdateAgentSeenTime, osType=1, environment=iff(ComputerEnvironment=~"Azure", 1, 2), ComplianceOrder=coalesce(ComplianceOrder, 2)
--   | union(Heartbeat
--   | where TimeGenerated>ago(12h) and OSType=~"Windows" and notempty(Computer)
--   | summarize arg_max(TimeGenerated, Solutions, Computer, ResourceId, ComputerEnvironment, VMUUID) by SourceComputerId
--   | where Solutions has "updates"
--   | extend vmuuId=VMUUID, azureResourceId=ResourceId, osType=2, environment=iff(ComputerEnvironment=~"Azure", 1, 2), scopedToUpdatesSolution=true, lastUpdateAgentSeenTime=""
--   | join kind=leftouter
--   (
--       Update
--       | where TimeGenerated>ago(14h) and OSType!="Linux" and SourceComputerId in ((Heartbeat
--       | where TimeGenerated>ago(12h) and OSType=~"Windows" and notempty(Computer)
--       | summarize arg_max(TimeGenerated, Solutions) by SourceComputerId
--       | where Solutions has "updates"
--       | distinct SourceComputerId))
--       | summarize hint.strategy=partitioned arg_max(TimeGenerated, UpdateState, Classification, Title, Optional, Approved, Computer, ComputerEnvironment) by Computer, SourceComputerId, UpdateID
--       | summarize Computer=any(Computer), ComputerEnvironment=any(ComputerEnvironment), missingCriticalUpdatesCount=countif(Classification has "Critical" and UpdateState=~"Needed" and Approved!=false), missingSecurityUpdatesCount=countif(Classification has "Security" and UpdateState=~"Needed" and Approved!=false), missingOtherUpdatesCount=countif(Classification !has "Critical" and Classification !has "Security" and UpdateState=~"Needed" and Optional==false and Approved!=false), lastAssessedTime=max(TimeGenerated), lastUpdateAgentSeenTime="" by SourceComputerId
--       | extend compliance=iff(missingCriticalUpdatesCount > 0 or missingSecurityUpdatesCount > 0, 2, 1)
--       | extend ComplianceOrder=iff(missingCriticalUpdatesCount > 0 or missingSecurityUpdatesCount > 0 or missingOtherUpdatesCount > 0, 1, 3)
--   )
--   on SourceComputerId
--   | project id=SourceComputerId, displayName=Computer, sourceComputerId=SourceComputerId, scopedToUpdatesSolution=true, missingCriticalUpdatesCount=coalesce(missingCriticalUpdatesCount, -1), missingSecurityUpdatesCount=coalesce(missingSecurityUpdatesCount, -1), missingOtherUpdatesCount=coalesce(missingOtherUpdatesCount, -1), compliance=coalesce(compliance, 4), lastAssessedTime, lastUpdateAgentSeenTime, osType=2, environment=iff(ComputerEnvironment=~"Azure", 1, 2), ComplianceOrder=coalesce(ComplianceOrder, 2))
--   | order by ComplianceOrder asc, missingCriticalUpdatesCount desc, missingSecurityUpdatesCount desc, missingOtherUpdatesCount desc, displayName asc
--   | project-away ComplianceOrder
-- Source: Azure Automation, query-logs (MicrosoftDocs/azure-docs, CC-BY-4.0)
-- Original (KQL, in words):
--   // [Q4] computers list: per computer missingCritical/Security/Other counts (coalesce -1), compliance (2 = missing crit/sec, 1 = ok, 4 = not assessed), lastAssessedTime, osType 1=Linux 2=Windows, environment Azure 1 / Non-Azure 2, ComplianceOrder (1 any missing, 2 not assessed, 3 ok); sorted ComplianceOrder asc, crit desc, sec desc, other desc, displayName asc
-- Note: Update has the rows of the newest scan of each computer only, so there is nothing left for
-- arg_max to do. (Of a package with an update available it has two rows with the same time, the
-- installed version and the available one, between which arg_max would choose at will.)
WITH
    computers AS
    (
        SELECT
            SourceComputerId,
            argMax(Computer, TimeGenerated) AS Name,
            argMax(OSType, TimeGenerated) AS System,
            argMax(ComputerEnvironment, TimeGenerated) AS Environment
        FROM Heartbeat
        WHERE TimeGenerated > now() - INTERVAL 12 HOUR AND Computer != ''
        GROUP BY SourceComputerId
        HAVING hasToken(lower(argMax(Solutions, TimeGenerated)), 'updates')
    ),
    assessed AS
    (
        SELECT
            SourceComputerId,
            countIf(UpdateState = 'Needed' AND Approved AND Classification = 'Critical Updates') AS Critical,
            countIf(UpdateState = 'Needed' AND Approved AND Classification = 'Security Updates') AS Security,
            countIf(UpdateState = 'Needed' AND Approved AND NOT Optional
                AND Classification NOT IN ('Security Updates', 'Critical Updates')) AS Other,
            max(TimeGenerated) AS Assessed
        FROM Update
        WHERE TimeGenerated > now() - if(OSType = 'Linux', INTERVAL 5 HOUR, INTERVAL 14 HOUR)
        GROUP BY SourceComputerId
    ),
    assessed.SourceComputerId != '' AS isAssessed
SELECT
    computers.SourceComputerId AS id,
    Name AS displayName,
    id AS sourceComputerId,
    true AS scopedToUpdatesSolution,
    if(isAssessed, toInt64(Critical), -1) AS missingCriticalUpdatesCount,
    if(isAssessed, toInt64(Security), -1) AS missingSecurityUpdatesCount,
    if(isAssessed, toInt64(Other), -1) AS missingOtherUpdatesCount,
    multiIf(NOT isAssessed, 4, Critical > 0 OR Security > 0, 2, 1) AS compliance,
    if(isAssessed, Assessed, NULL) AS lastAssessedTime,
    '' AS lastUpdateAgentSeenTime,
    if(System = 'Linux', 1, 2) AS osType,
    if(lower(Environment) = 'azure', 1, 2) AS environment
FROM computers
LEFT JOIN assessed ON assessed.SourceComputerId = computers.SourceComputerId
ORDER BY
    multiIf(NOT isAssessed, 2, Critical > 0 OR Security > 0 OR Other > 0, 1, 3),
    missingCriticalUpdatesCount DESC, missingSecurityUpdatesCount DESC, missingOtherUpdatesCount DESC, displayName
