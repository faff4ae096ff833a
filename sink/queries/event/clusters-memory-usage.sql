-- Memory usage percentage of the nodes of all clusters
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   //Select your log analytics workspace and replace clusterarmId1 with your cluster arm ID
--   //Unit for MemoryUsage is in percentage(%),TotalMemory, and UsedMemory are in bytes
--   Event
--   | where EventLog =~ "Microsoft-Windows-SDDC-Management/Operational" and EventID == "3000"
--   | extend ClusterData = parse_xml(EventData)
--   | extend ClusterName = tostring(ClusterData.DataItem.UserData.EventData["ClusterName"])
--   | extend ClusterArmId = tostring(ClusterData.DataItem.UserData.EventData["ArmId"])
--   //| where ClusterArmId in~ ('clusterarmId1', 'clusterarmId2', 'clusterarmId3')
--   | summarize arg_max(TimeGenerated, *) by ClusterArmId
--   | extend servers_information = parse_json(RenderedDescription).m_servers
--   | mv-expand servers_information
--   | extend Nodename = tostring(servers_information.m_name)
--   | extend TotalMemory = todecimal(servers_information.m_totalPhysicalMemoryInBytes)
--   | extend UsedMemory = iff(TotalMemory == 0.0, todecimal(0.0), todecimal(servers_information.m_usedPhysicalMemoryInBytes))
--   | extend MemoryUsage = iff(TotalMemory == 0.0, todecimal(0.0), todecimal(round(UsedMemory / TotalMemory * 100, 0)))
--   | extend MemoryUsageint = toint(MemoryUsage)
--   | where Nodename != ""
--   | limit 100
-- Note: EventID is a number and cannot equal a text. The columns that hold the whole JSON are left
-- out.
SELECT
    ClusterArmId,
    ClusterName,
    TimeGenerated,
    JSONExtractString(Server, 'm_name') AS Nodename,
    JSONExtractUInt(Server, 'm_totalPhysicalMemoryInBytes') AS TotalMemory,
    if(TotalMemory = 0, 0, JSONExtractUInt(Server, 'm_usedPhysicalMemoryInBytes')) AS UsedMemory,
    if(TotalMemory = 0, 0, round(UsedMemory / TotalMemory * 100)) AS MemoryUsage
FROM
(
    SELECT *, arrayJoin(JSONExtractArrayRaw(RenderedDescription, 'm_servers')) AS Server
    FROM
    (
        SELECT
            extract(EventData, '<ArmId>([^<]*)</ArmId>') AS ClusterArmId,
            extract(EventData, '<ClusterName>([^<]*)</ClusterName>') AS ClusterName,
            TimeGenerated,
            RenderedDescription
        FROM Event
        WHERE lower(EventLog) = 'microsoft-windows-sddc-management/operational' AND EventID = 3000
        ORDER BY TimeGenerated DESC
        LIMIT 1 BY ClusterArmId
    )
)
WHERE Nodename != ''
ORDER BY ClusterArmId, Nodename
LIMIT 100
