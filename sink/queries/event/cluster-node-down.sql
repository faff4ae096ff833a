-- Cluster node down: nodes that are down by the newest look at the health of each cluster
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   //Select your log analytics workspace and replace clusterarmId1 with your cluster arm ID
--   //Please split dimensions by clusterarmID and dimension name as faulting resource ID to set up alerts for each node within a cluster. Please check include all future values to get alerts for future dimension names.
--   Event
--   | where EventLog =~ "Microsoft-Windows-Health/Operational"
--   | extend description = parse_json(RenderedDescription)
--   | extend CorrelationId = tostring(description.CorrelationId)
--   | join kind=leftsemi (Event
--       | where EventLog =~ "Microsoft-Windows-Health/Operational"
--       | extend description = parse_json(RenderedDescription)
--       | extend ClusterArmId = tostring(description.ArmId)
--       //| where ClusterArmId in~ ('clusterarmId1', 'clusterarmId2', 'clusterarmId3')
--       | where tostring(description.IsLastMessage) =~ 'true'
--       | extend CorrelationId = tostring(description.CorrelationId)
--       | summarize arg_max(TimeGenerated, *) by ClusterArmId
--       | project CorrelationId)
--       on CorrelationId
--   | extend ClusterArmId = tostring(description.ArmId)
--   | where tostring(description.Fault.RootObjectType) == 'Microsoft.Health.EntityType.Cluster'
--   | extend Fault = description.Fault
--   | extend ShortDescription = split(tostring(Fault.Type), '.')[-1]
--   | extend Faulttype= Fault.Type
--   | where Faulttype == "Microsoft.Health.FaultType.Server.Down"
--   | extend Severity = toint(Fault.Severity)
--   | extend FaultingResourceType = split(tostring(Fault.ObjectType), '.')[-1]
--   | extend FaultingResourceId = tostring(Fault.ObjectId)
--   | extend ReportedTime = datetime_add('Microsecond', tolong(Fault.Timestamp) / 10, make_datetime(1601, 1, 1))
--   | extend Detail = pack(
--       "Severity", iff(Severity == 0, "Healthy", iff(Severity == 1, "Warning", iff(Severity == 2, "Critical", "Unknown"))),
--       "Faulting Resource ID", FaultingResourceId,
--       "Faulting Resource Type", FaultingResourceType,
--       "Faulttype", Faulttype,
--       "Reported Time", ReportedTime,
--       "Short Description", ShortDescription,
--       "Description", tostring(Fault.Description),
--       "clusterARMId", tostring(ClusterArmId),
--       "Remediation", tostring(Fault.Remediation))
--   | sort by ReportedTime asc
--   | limit 100
-- Note: What the original packs into the column Detail are columns here.
SELECT
    transform(JSONExtractInt(Fault, 'Severity'), [0, 1, 2], ['Healthy', 'Warning', 'Critical'], 'Unknown') AS Severity,
    JSONExtractString(Fault, 'ObjectId') AS FaultingResourceId,
    splitByChar('.', JSONExtractString(Fault, 'ObjectType'))[-1] AS FaultingResourceType,
    JSONExtractString(Fault, 'Type') AS Faulttype,
    splitByChar('.', Faulttype)[-1] AS ShortDescription,
    fromUnixTimestamp64Micro(intDiv(JSONExtractInt(Fault, 'Timestamp'), 10) - 11644473600000000, 'UTC') AS ReportedTime,
    JSONExtractString(Fault, 'Description') AS Description,
    JSONExtractString(RenderedDescription, 'ArmId') AS ClusterArmId,
    JSONExtractString(Fault, 'Remediation') AS Remediation
FROM
(
    SELECT RenderedDescription, JSONExtractRaw(RenderedDescription, 'Fault') AS Fault
    FROM Event
    WHERE lower(EventLog) = 'microsoft-windows-health/operational'
        AND JSONExtractString(RenderedDescription, 'CorrelationId') IN
        (
            SELECT argMax(JSONExtractString(RenderedDescription, 'CorrelationId'), TimeGenerated)
            FROM Event
            WHERE lower(EventLog) = 'microsoft-windows-health/operational'
                AND lower(trim(BOTH '"' FROM JSONExtractRaw(RenderedDescription, 'IsLastMessage'))) = 'true'
            GROUP BY JSONExtractString(RenderedDescription, 'ArmId')
        )
)
WHERE JSONExtractString(Fault, 'RootObjectType') = 'Microsoft.Health.EntityType.Cluster'
    AND Faulttype = 'Microsoft.Health.FaultType.Server.Down'
ORDER BY ReportedTime, FaultingResourceId
LIMIT 100
