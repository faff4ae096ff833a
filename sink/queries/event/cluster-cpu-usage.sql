-- CPU usage percentage of the nodes of a cluster
--
-- Source: Azure Monitor Logs, example queries (MicrosoftDocs/azure-reference-other, CC-BY-4.0)
-- Original (KQL):
--   //Select your log analytics workspace and replace enter cluster ID with your cluster arm ID
--   //Unit for UsedCpuPercentage is in percentage(%)
--   //Please use Nodename to set alert for each node
--   Event
--   | where EventLog =~ "Microsoft-Windows-SDDC-Management/Operational" and EventID == "3000"
--   | extend ClusterData = parse_xml(EventData)
--   | extend ClusterName = tostring(ClusterData.DataItem.UserData.EventData["ClusterName"])
--   | extend ClusterArmId = tostring(ClusterData.DataItem.UserData.EventData["ArmId"])
--   | where ClusterArmId =~ 'enter cluster ID'
--   | summarize arg_max(TimeGenerated, RenderedDescription)
--   | extend servers_information = parse_json(RenderedDescription).m_servers
--   | mv-expand servers_information
--   | extend Nodename = tostring(servers_information.m_name)
--   | extend UsedCpuPercentage = toint(servers_information.m_totalProcessorsUsedPercentage)
-- Note: EventID is a number and cannot equal a text. The columns that hold the whole JSON are left
-- out.
-- Parameter ClusterArmId = 'enter cluster ID'
SELECT
    TimeGenerated,
    JSONExtractString(Server, 'm_name') AS Nodename,
    JSONExtractInt(Server, 'm_totalProcessorsUsedPercentage') AS UsedCpuPercentage
FROM
(
    SELECT TimeGenerated, arrayJoin(JSONExtractArrayRaw(RenderedDescription, 'm_servers')) AS Server
    FROM
    (
        SELECT TimeGenerated, RenderedDescription
        FROM Event
        WHERE lower(EventLog) = 'microsoft-windows-sddc-management/operational' AND EventID = 3000
            AND lower(extract(EventData, '<ArmId>([^<]*)</ArmId>')) = lower({ClusterArmId:String})
        ORDER BY TimeGenerated DESC
        LIMIT 1
    )
)
ORDER BY Nodename
